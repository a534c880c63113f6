/** From the stored bytes of an index file to columns for the blob index: what most of the time of loading goes to. */
import type { Codec } from './codec.ts'
import { scanIndexFile } from './format/index-file.ts'
import type { Columns, PackColumns } from './pack-columns.ts'

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
