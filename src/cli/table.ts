/** Tables as restic prints them: columns two spaces apart, a line of dashes above and below. */
import { displayWidth } from './safe-text.ts'

export interface Column<T> {
  readonly title: string
  readonly minWidth?: number
  /** The lines of a cell. */
  readonly cell: (row: T) => readonly string[]
}

export interface TableOptions {
  /** Lines below the table. */
  readonly footer?: readonly string[]
  /** Set rows with several lines apart. */
  readonly blankBetweenRows?: boolean
}

export function formatTable<T>(
  columns: readonly Column<T>[],
  rows: readonly T[],
  options: TableOptions = {},
): string {
  const cells = rows.map((row) => columns.map((column) => column.cell(row)))
  const widths = columns.map((column, i) =>
    cells
      .flatMap((row) => row[i] ?? [])
      .reduce(
        (width, line) => Math.max(width, displayWidth(line)),
        Math.max(column.minWidth ?? 0, column.title.length),
      ),
  )
  const dashes = '-'.repeat(widths.reduce((sum, width) => sum + width + 2, -2))
  const titles = columns.map((column) => column.title)
  const lines = [formatLine(titles, widths), dashes]
  cells.forEach((row, number) => {
    if (options.blankBetweenRows === true && number > 0) lines.push('')
    const height = row.reduce((most, cell) => Math.max(most, cell.length), 1)
    for (let line = 0; line < height; line++) {
      lines.push(
        formatLine(
          row.map((cell) => cell[line] ?? ''),
          widths,
        ),
      )
    }
  })
  return [...lines, dashes, ...(options.footer ?? [])].join('\n') + '\n'
}

function formatLine(texts: readonly string[], widths: readonly number[]): string {
  const padded = texts.map((text, i) => text + ' '.repeat(Math.max(0, (widths[i] ?? 0) - displayWidth(text))))
  return padded.join('  ').trimEnd()
}
