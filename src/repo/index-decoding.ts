/** From the stored bytes of an index file to columns for the blob index: what most of the time of loading goes to. */
import type { Codec } from './codec.ts'
import { scanIndexFile } from './format/index-file.ts'
import { copyColumns, type Columns, type PackColumns } from './pack-columns.ts'
import type { ThreadContext } from './thread-context.ts'
import type { TaskTable } from './worker-pool.ts'

/**
 * @param what names the file in errors
 * @returns views of the memory of `columns`
 * @throws CorruptDataError
 */
// oxlint-disable-next-line max-params -- what is decoded how, and to where
export function decodeIndexFile(
  codec: Codec,
  sealed: Uint8Array,
  what: string,
  columns: PackColumns,
): Columns {
  columns.clear()
  scanIndexFile(codec.decodeUnpackedToScratch(sealed, what), columns)
  return columns.finish()
}

/**
 * Thread task: decodes an index file.
 * @returns memory of its own; undefined where the file cannot be used, which is for the owner to find out again: an
 * error would not come over as it is
 */
function decodeIndex(context: ThreadContext, sealed: Uint8Array): Columns | undefined {
  const { codec, columns } = context
  try {
    const own = copyColumns(decodeIndexFile(codec, sealed, 'index file', columns))
    context.handOver(own.ids.buffer)
    return own
  } catch {
    return undefined
  }
}

export interface IndexTasks extends TaskTable {
  readonly decodeIndex: typeof decodeIndex
}

export const INDEX_TASKS: IndexTasks = { decodeIndex }
