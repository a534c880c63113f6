/** What backup prints: progress, items, summary (command spec, "backup" and §3). */
import type { ArchivedItem, BackupOptions, BackupProgress, BackupResult, ItemError } from '../index.ts'
import { formatTime, shortId } from '../index.ts'
import type { CommandContext } from './context.ts'
import { formatBytes, formatPercent, formatSeconds, printable } from './format.ts'
import { jsonIntervalMs } from './progress.ts'

const ITEM_VERBOSITY = 3

export class BackupOutput {
  readonly #context: CommandContext
  readonly #dryRun: boolean
  readonly #startedMs = performance.now()
  readonly #jsonIntervalMs: number
  #lastJsonMs = 0

  constructor(context: CommandContext, dryRun: boolean) {
    this.#context = context
    this.#dryRun = dryRun
    this.#jsonIntervalMs = jsonIntervalMs(context.io.env)
  }

  callbacks(scan: boolean): BackupOptions {
    const context = this.#context
    const wantsItems = context.verbosity >= (context.isJson ? 2 : ITEM_VERBOSITY)
    return {
      onError: (error) => this.#error(error),
      onItem: wantsItems ? (item) => this.#item(item) : undefined,
      onProgress: context.verbosity === 0 ? undefined : (progress) => this.#status(progress),
      onParent: (parent) => {
        if (parent === undefined) context.print('no parent snapshot found, will read all files')
        else context.print(`using parent snapshot ${shortId(parent.id)}`)
      },
      onScanFinished:
        scan && wantsItems ? (totals, seconds) => this.#scanFinished(totals, seconds) : undefined,
    }
  }

  summary(result: BackupResult): void {
    if (this.#context.isJson) this.#jsonSummary(result)
    else this.#textSummary(result)
  }

  #error({ item, during, error }: ItemError): void {
    const context = this.#context
    if (context.isJson) {
      context.warnJson({
        message_type: 'error',
        error: { message: error.message },
        during,
        item: printable(item),
      })
    } else {
      context.warn(
        `error: ${error.message.includes(item) ? '' : `${printable(item)}: `}${printable(error.message)}`,
      )
    }
  }

  #status(progress: BackupProgress): void {
    if (!this.#context.isJson) {
      this.#context.progress.update(() => this.#statusText(progress))
      return
    }
    const now = performance.now()
    if (now - this.#lastJsonMs < this.#jsonIntervalMs) return
    this.#lastJsonMs = now
    this.#context.printJson(this.#statusJson(progress))
  }

  #statusText({
    filesDone,
    bytesDone,
    totals,
    errorCount,
    isScanFinished,
    bytesStored,
  }: BackupProgress): string {
    const seconds = this.#elapsedSeconds()
    const errors = errorCount > 0 ? `, ${errorCount} errors` : ''
    const rate = seconds > 0 ? `, ${formatBytes(Math.round(bytesDone / seconds))}/s` : ''
    const stored = bytesStored > 0 ? `, ${formatBytes(bytesStored)} stored` : ''
    if (totals === undefined || !isScanFinished) {
      return `[${formatSeconds(seconds)}] ${filesDone} files, ${formatBytes(bytesDone)}${rate}${stored}${errors}`
    }
    const eta = remainingSeconds(seconds, bytesDone, totals.bytes)
    return (
      `[${formatSeconds(seconds)}] ${formatPercent(bytesDone, totals.bytes)}  ${filesDone} files ${formatBytes(bytesDone)}, ` +
      `total ${totals.files} files ${formatBytes(totals.bytes)}${rate}${stored}${errors}${eta === undefined ? '' : ` ETA ${formatSeconds(eta)}`}`
    )
  }

  #statusJson(progress: BackupProgress): Record<string, unknown> {
    const { totals, filesDone, bytesDone, errorCount, currentFiles, isScanFinished } = progress
    const seconds = Math.floor(this.#elapsedSeconds())
    const totalBytes = totals?.bytes ?? 0
    const remaining = isScanFinished ? remainingSeconds(seconds, bytesDone, totalBytes) : undefined
    return {
      message_type: 'status',
      ...omitZero({ seconds_elapsed: seconds, seconds_remaining: remaining ?? 0 }),
      percent_done: totalBytes > 0 ? Math.min(1, bytesDone / totalBytes) : 0,
      ...omitZero({
        total_files: totals?.files ?? 0,
        files_done: filesDone,
        total_bytes: totalBytes,
        bytes_done: bytesDone,
        error_count: errorCount,
      }),
      ...(currentFiles.length === 0 ? {} : { current_files: currentFiles.map(printable) }),
    }
  }

  #item(item: ArchivedItem): void {
    const context = this.#context
    if (context.isJson) {
      context.printJson({
        message_type: 'verbose_status',
        action: item.action,
        item: printable(item.path),
        duration: item.durationSeconds,
        data_size: item.dataSize,
        data_size_in_repo: item.dataSizeInRepo,
        metadata_size: item.treeSize,
        metadata_size_in_repo: item.treeSizeInRepo,
        total_files: 0,
      })
      return
    }
    const path = printable(item.path)
    if (item.action === 'unchanged') {
      context.print(`unchanged ${path}`, ITEM_VERBOSITY)
      return
    }
    const action = item.action.padEnd(9)
    const added = `${formatBytes(item.dataSize)} added, ${formatBytes(item.dataSizeInRepo)} stored`
    const metadata = item.isDir ? `, ${formatBytes(item.treeSizeInRepo)} metadata` : ''
    context.print(
      `${action} ${path}, saved in ${item.durationSeconds.toFixed(3)}s (${added}${metadata})`,
      ITEM_VERBOSITY,
    )
  }

  #scanFinished(totals: { readonly files: number; readonly bytes: number }, seconds: number): void {
    const context = this.#context
    if (!context.isJson) {
      context.print(
        `scan finished in ${seconds.toFixed(3)}s: ${totals.files} files, ${formatBytes(totals.bytes)}`,
        2,
      )
      return
    }
    context.printJson({
      message_type: 'verbose_status',
      action: 'scan_finished',
      item: '',
      duration: seconds,
      data_size: totals.bytes,
      data_size_in_repo: 0,
      metadata_size: 0,
      metadata_size_in_repo: 0,
      total_files: totals.files,
    })
  }

  #jsonSummary({ statistics: s, ...result }: BackupResult): void {
    this.#context.printJson({
      message_type: 'summary',
      files_new: s.filesNew,
      files_changed: s.filesChanged,
      files_unmodified: s.filesUnmodified,
      dirs_new: s.dirsNew,
      dirs_changed: s.dirsChanged,
      dirs_unmodified: s.dirsUnmodified,
      data_blobs: s.dataBlobs,
      tree_blobs: s.treeBlobs,
      data_added: s.dataAdded,
      data_added_packed: s.dataAddedPacked,
      total_files_processed: s.totalFilesProcessed,
      total_bytes_processed: s.totalBytesProcessed,
      total_duration: result.durationSeconds,
      backup_start: formatTime(result.backupStart),
      backup_end: formatTime(result.backupEnd),
      ...(result.snapshotId === undefined ? {} : { snapshot_id: result.snapshotId }),
      ...(this.#dryRun ? { dry_run: true } : {}),
    })
  }

  #textSummary({ statistics: s, durationSeconds, snapshotId }: BackupResult): void {
    const context = this.#context
    context.print('')
    context.print(
      `Files:       ${five(s.filesNew)} new, ${five(s.filesChanged)} changed, ${five(s.filesUnmodified)} unmodified`,
    )
    context.print(
      `Dirs:        ${five(s.dirsNew)} new, ${five(s.dirsChanged)} changed, ${five(s.dirsUnmodified)} unmodified`,
    )
    context.print(`Data Blobs:  ${five(s.dataBlobs)} new`, 2)
    context.print(`Tree Blobs:  ${five(s.treeBlobs)} new`, 2)
    const verb = this.#dryRun ? 'Would add' : 'Added'
    context.print(
      `${verb} to the repository: ${formatBytes(s.dataAdded).padEnd(5)} (${formatBytes(s.dataAddedPacked).padEnd(5)} stored)`,
    )
    context.print('')
    const processed = `${s.totalFilesProcessed} files, ${formatBytes(s.totalBytesProcessed)}`
    context.print(`processed ${processed} in ${formatSeconds(durationSeconds)}`)
    if (snapshotId !== undefined) context.print(`snapshot ${shortId(snapshotId)} saved`)
    else if (!this.#dryRun) context.print('skipped creating snapshot')
  }

  #elapsedSeconds(): number {
    return (performance.now() - this.#startedMs) / 1000
  }
}

function remainingSeconds(elapsedSeconds: number, done: number, total: number): number | undefined {
  if (done <= 0 || total <= done) return undefined
  return Math.round((elapsedSeconds * (total - done)) / done)
}

/** restic leaves out numbers that are 0. */
export function omitZero(fields: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== 0))
}

function five(count: number): string {
  return String(count).padStart(5)
}
