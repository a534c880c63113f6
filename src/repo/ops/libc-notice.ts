/** Tells users once what an operation goes without where the C library cannot be used. */
import type { RepositorySettings } from '../repository.ts'
import { loadLibc } from './libc.ts'

/** @param loss a sentence on what is lost */
export function noticeWithoutLibc({ onNotice }: RepositorySettings, loss: string): void {
  if (loadLibc() !== undefined) return
  onNotice?.({ kind: 'warning', message: `the C library cannot be used here: ${loss}` })
}
