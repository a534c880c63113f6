/** Tables as restic prints them: columns two spaces apart, a line of dashes above and below. */

export interface Column<T> {
  readonly title: string
  readonly minWidth?: number
  readonly alignRight?: boolean
  /** The lines of a cell. */
  readonly cell: (row: T) => readonly string[]
}

export function formatTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  footer: readonly string[],
): string {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)))
  const widths = columns.map((column, i) =>
    Math.max(
      column.minWidth ?? 0,
      column.title.length,
      ...cells.flatMap((row) => (row[i] ?? []).map((line) => line.length)),
    ),
  )
  const formatLine = (texts: readonly string[]): string =>
    texts
      .map((text, i) =>
        columns[i]?.alignRight === true ? text.padStart(widths[i] ?? 0) : text.padEnd(widths[i] ?? 0),
      )
      .join('  ')
      .trimEnd()
  const dashes = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  const lines = [formatLine(columns.map((column) => column.title)), dashes]
  for (const row of cells) {
    const height = Math.max(1, ...row.map((cell) => cell.length))
    for (let line = 0; line < height; line++) lines.push(formatLine(row.map((cell) => cell[line] ?? '')))
  }
  return [...lines, dashes, ...footer].join('\n') + '\n'
}
