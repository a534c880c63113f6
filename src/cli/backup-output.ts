/** What backup prints: progress, items, summary (command spec, "backup" and §3). */
import type {
  ArchivedItem,
  BackupOptions,
  BackupProgress,
  BackupResult,
  ItemError,
  RepositoryBackup,
} from '../index.ts'
import { formatTime, shortId, type SnapshotRecord } from '../index.ts'
import type { BackupTargets } from './backup-targets.ts'
import { describeError } from './describe-error.ts'
import { formatBytes, formatFixed, formatPercent, formatSeconds } from './format.ts'
import { omitZero, StatusReporter, type Output } from './output.ts'
import { RateEstimator, remainingSeconds } from './rate.ts'
import { quoteUnprintable } from './safe-text.ts'

export class BackupOutput {
  readonly #output: Output
  readonly #dryRun: boolean
  readonly #showsStored: boolean
  readonly #targets: BackupTargets
  readonly #rate: RateEstimator
  readonly #status: StatusReporter<BackupProgress>
  #bytesPerSecond = 0

  /** @param options `showsStored`: how much has arrived, which for a store far away is less than what was read */
  constructor(
    output: Output,
    options: { readonly dryRun: boolean; readonly targets: BackupTargets; readonly showsStored?: boolean },
  ) {
    this.#output = output
    this.#showsStored = options.showsStored === true
    this.#dryRun = options.dryRun
    this.#targets = options.targets
    this.#rate = new RateEstimator(output.io.now)
    this.#status = new StatusReporter(output, {
      text: (progress, seconds) => this.#statusText(progress, seconds),
      json: (progress, seconds) => this.#statusJson(progress, seconds),
    })
  }

  callbacks(scan: boolean): BackupOptions {
    const output = this.#output
    const { verbosity, isJson } = output
    return {
      onError: (error) => this.#error(error),
      onItem: verbosity >= (isJson ? 2 : 3) ? (item) => this.#item(item) : undefined,
      onProgress: (progress) => this.#update(progress),
      // Totals are for those who look on: nobody else should pay for counting.
      noScan: !scan || !(this.#status.isShown || verbosity >= 2),
      onParent: (parent) => this.#started(parent, scan),
      onLoadIndex: output.counter('index files loaded', { terminalOnly: true }),
      onScanFinished: verbosity >= 2 ? (totals, seconds) => this.#scanFinished(totals, seconds) : undefined,
    }
  }

  stop(): void {
    this.#status.stop()
  }

  /** @param made one for each repository that the backup was begun for */
  summary(made: readonly RepositoryBackup[]): void {
    const isOne = made.length === 1
    const finished = finishedOf(made)
    for (const [i, { repository, result }] of finished.entries()) {
      const location = isOne ? undefined : repository.location
      if (this.#output.isJson) this.#jsonSummary(result, location)
      else {
        if (i === 0) this.#textSummary(result)
        this.#textAdded(result, location)
      }
    }
    if (!this.#output.isJson) this.#textSaved(finished, isOne)
  }

  #started(parent: SnapshotRecord | undefined, scan: boolean): void {
    const targets = this.#targets
    const isStream = 'input' in targets
    if (parent !== undefined) this.#output.print(`using parent snapshot ${shortId(parent.id)}`)
    else if (!isStream) this.#output.print('no parent snapshot found, will read all files')
    this.#output.print('load index files', 2)
    if (isStream) this.#output.print('read data from stdin', 2)
    const names = isStream ? [`/${targets.input.filename}`] : targets.paths
    const list = names.map(quoteUnprintable).join(' ')
    if (scan && !isStream) this.#output.print(`start scan on [${list}]`, 2)
    this.#output.print(`start backup on [${list}]`, 2)
  }

  #error({ item, during, error }: ItemError): void {
    const message = describeError(error)
    // What the scan cannot read the backup itself complains of as well.
    if (during === 'scan' && !this.#output.isJson) {
      if (this.#output.verbosity >= 2) this.#output.warn(`scan: ${message}`)
      return
    }
    const text = message.includes(item) ? message : `${quoteUnprintable(item)}: ${message}`
    this.#output.warnOf(`error: ${text}`, { message_type: 'error', error: { message }, during, item })
  }

  #update(progress: BackupProgress): void {
    this.#bytesPerSecond = this.#rate.update(progress.bytesDone)
    this.#status.update(progress)
  }

  #remaining({ totals, isScanFinished, bytesDone }: BackupProgress): number | undefined {
    if (totals === undefined || !isScanFinished) return undefined
    return remainingSeconds(totals.bytes - bytesDone, this.#bytesPerSecond)
  }

  #statusText(progress: BackupProgress, seconds: number): string {
    const { filesDone, bytesDone, bytesStored, totals, errorCount, currentFiles } = progress
    const stored = this.#showsStored ? `, uploaded ${formatBytes(bytesStored)}` : ''
    const done = `${filesDone} files ${formatBytes(bytesDone)}${stored}`
    const rate = `${errorCount} errors, ${formatBytes(Math.round(this.#bytesPerSecond))}/s`
    const files = currentFiles.map((file) => `  ${quoteUnprintable(file)}`).join('')
    const elapsed = `[${formatSeconds(seconds)}]`
    if (totals === undefined || totals.files + totals.dirs === 0) return `${elapsed} ${done}, ${rate}${files}`
    const remaining = this.#remaining(progress)
    const eta = remaining === undefined ? '' : ` ETA ${formatSeconds(remaining)}`
    const percent = remaining === undefined ? '' : `${formatPercent(bytesDone, totals.bytes)}  `
    const total = `total ${totals.files} files ${formatBytes(totals.bytes)}`
    return `${elapsed} ${percent}${done}, ${total}, ${rate}${eta}${files}`
  }

  #statusJson(progress: BackupProgress, seconds: number): Record<string, unknown> {
    const { totals, filesDone, bytesDone, errorCount, currentFiles } = progress
    const totalBytes = totals?.bytes ?? 0
    return {
      ...omitZero({
        seconds_elapsed: Math.floor(seconds),
        seconds_remaining: this.#remaining(progress) ?? 0,
      }),
      percent_done: totalBytes > 0 ? Math.min(1, bytesDone / totalBytes) : 0,
      ...omitZero({
        total_files: totals?.files ?? 0,
        files_done: filesDone,
        total_bytes: totalBytes,
        bytes_done: bytesDone,
        error_count: errorCount,
      }),
      ...(currentFiles.length === 0 ? {} : { current_files: currentFiles }),
    }
  }

  #item(item: ArchivedItem): void {
    const { action, path, isDir, durationSeconds } = item
    if (this.#output.isJson) {
      const isUnchanged = action === 'unchanged'
      this.#printItemJson(action, path, {
        duration: isUnchanged ? 0 : durationSeconds,
        data_size: item.dataSize,
        data_size_in_repo: item.dataSizeInRepo,
        metadata_size: item.treeSize,
        metadata_size_in_repo: item.treeSizeInRepo,
      })
      return
    }
    const name = quoteUnprintable(path)
    if (action === 'unchanged') {
      this.#output.print(`unchanged ${name}`, 3)
      return
    }
    const metadata = isDir ? `, ${formatBytes(item.treeSizeInRepo)} metadata` : ''
    const sizes = `${formatBytes(item.dataSize)} added, ${formatBytes(item.dataSizeInRepo)} stored${metadata}`
    this.#output.print(
      `${action.padEnd(9)} ${name}, saved in ${formatFixed(durationSeconds, 3)}s (${sizes})`,
      3,
    )
  }

  #scanFinished(totals: { readonly files: number; readonly bytes: number }, seconds: number): void {
    if (this.#output.isJson) {
      const { files, bytes } = totals
      this.#printItemJson('scan_finished', '', { duration: seconds, data_size: bytes, total_files: files })
      return
    }
    const found = `${totals.files} files, ${formatBytes(totals.bytes)}`
    this.#output.print(`scan finished in ${formatFixed(seconds, 3)}s: ${found}`, 2)
  }

  /** All members are there, whatever the action. */
  #printItemJson(action: string, item: string, fields: Readonly<Record<string, number>>): void {
    this.#output.printJson({
      message_type: 'verbose_status',
      action,
      item,
      duration: 0,
      data_size: 0,
      data_size_in_repo: 0,
      metadata_size: 0,
      metadata_size_in_repo: 0,
      total_files: 0,
      ...fields,
    })
  }

  /** @param repository where there are several */
  #jsonSummary({ statistics: s, ...result }: BackupResult, repository: string | undefined): void {
    this.#output.printJson({
      message_type: 'summary',
      ...(repository === undefined ? {} : { repository }),
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

  #textSummary({ statistics: s }: BackupResult): void {
    const output = this.#output
    output.print('')
    output.print(`Files:       ${changes(s.filesNew, s.filesChanged, s.filesUnmodified)}`)
    output.print(`Dirs:        ${changes(s.dirsNew, s.dirsChanged, s.dirsUnmodified)}`)
  }

  #textAdded({ statistics: s }: BackupResult, location = 'the repository'): void {
    const output = this.#output
    output.print(`Data Blobs:  ${count(s.dataBlobs)} new`, 2)
    output.print(`Tree Blobs:  ${count(s.treeBlobs)} new`, 2)
    const verb = this.#dryRun ? 'Would add' : 'Added'
    const [added, stored] = [s.dataAdded, s.dataAddedPacked].map((bytes) => formatBytes(bytes).padEnd(5))
    output.print(`${verb} to ${location}: ${added} (${stored} stored)`)
  }

  #textSaved(finished: readonly FinishedBackup[], isOne: boolean): void {
    const [first] = finished
    if (first === undefined) return
    const { statistics: s, durationSeconds } = first.result
    const processed = `${s.totalFilesProcessed} files, ${formatBytes(s.totalBytesProcessed)}`
    this.#output.print(`\nprocessed ${processed} in ${formatSeconds(durationSeconds)}`)
    for (const { repository, result } of finished) {
      const where = isOne ? '' : ` in ${repository.location}`
      if (result.snapshotId !== undefined)
        this.#output.print(`snapshot ${shortId(result.snapshotId)} saved${where}`)
      else if (!this.#dryRun) this.#output.print(`skipped creating snapshot${where}`)
    }
  }
}

interface FinishedBackup extends RepositoryBackup {
  readonly result: BackupResult
}

function finishedOf(made: readonly RepositoryBackup[]): readonly FinishedBackup[] {
  return made.flatMap(({ result, ...rest }) => (result === undefined ? [] : [{ ...rest, result }]))
}

function changes(added: number, changed: number, unmodified: number): string {
  return `${count(added)} new, ${count(changed)} changed, ${count(unmodified)} unmodified`
}

function count(items: number): string {
  return String(items).padStart(5)
}
