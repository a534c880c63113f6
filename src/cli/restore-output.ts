/** What restore prints: progress, items, summary (command spec, "restore" and §3). */
import {
  ResticError,
  type ErrorCode,
  type ItemError,
  type RestoredItem,
  type RestoreOptions,
  type RestoreProgress,
  type RestoreResult,
} from '../index.ts'
import { describeError } from './describe-error.ts'
import { formatBytes, formatGoDuration, formatPercent, formatSeconds } from './format.ts'
import { omitZero, StatusReporter, type Output } from './output.ts'
import { RateEstimator, remainingSeconds } from './rate.ts'
import { quoteUnprintable } from './safe-text.ts'
import { describeSnapshot } from './snapshot-output.ts'

/** Trouble with the repository, not with the target. */
const DAMAGE_CODES: ReadonlySet<ErrorCode> = new Set([
  'BACKEND',
  'CORRUPT_DATA',
  'FILE_NOT_FOUND',
  'NOT_FOUND',
])
const DAMAGE_HINT = 'run `check` to see what is affected'

type Callbacks = Pick<
  RestoreOptions,
  'onSnapshot' | 'onLoadIndex' | 'onProgress' | 'onItem' | 'onError' | 'onVerifyStart'
>

export class RestoreOutput {
  readonly #output: Output
  readonly #target: string
  readonly #rate: RateEstimator
  readonly #status: StatusReporter<RestoreProgress>
  #bytesPerSecond = 0
  #errorCount = 0
  #hint: string | undefined
  #last: RestoreProgress | undefined
  #verifyStartedMs: number | undefined

  constructor(output: Output, target: string) {
    this.#output = output
    this.#target = quoteUnprintable(target)
    this.#rate = new RateEstimator(output.io.now)
    this.#status = new StatusReporter(output, {
      text: (progress, seconds) => this.#statusText(progress, seconds),
      json: (progress, seconds) => statusJson(progress, seconds),
    })
  }

  callbacks(): Callbacks {
    const output = this.#output
    return {
      onSnapshot: (record) => output.print(`restoring ${describeSnapshot(record)} to ${this.#target}`),
      onLoadIndex: output.counter('index files loaded', { terminalOnly: true }),
      onProgress: (progress) => this.#update(progress),
      onItem: output.verbosity >= 3 ? (item) => this.#item(item) : undefined,
      onError: (error) => this.#error(error),
      onVerifyStart: () => this.#verifyStarted(),
    }
  }

  /** What to do about the first error, as the end of the message that there were errors. */
  get advice(): string {
    return this.#hint === undefined ? '' : `\n${this.#hint}`
  }

  stop(): void {
    this.#status.stop()
  }

  finish(result: RestoreResult): void {
    this.stop()
    if (this.#verifyStartedMs === undefined) {
      this.#summary(result)
      return
    }
    const took = formatGoDuration(this.#output.io.now() - this.#verifyStartedMs)
    this.#output.print(`finished verifying ${result.filesVerified} files in ${this.#target} (took ${took})`)
  }

  /** The restore itself is done by now: its summary comes before what is said of the verification. */
  #verifyStarted(): void {
    if (this.#last !== undefined) this.#summary(this.#last)
    this.stop()
    this.#verifyStartedMs = this.#output.io.now()
    this.#output.print(`verifying files in ${this.#target}`)
  }

  #update(progress: RestoreProgress): void {
    this.#last = progress
    this.#bytesPerSecond = this.#rate.update(progress.bytesRestored)
    if (this.#verifyStartedMs === undefined) this.#status.update(progress)
  }

  #error({ item, error }: ItemError): void {
    this.#errorCount += 1
    if (error instanceof ResticError && DAMAGE_CODES.has(error.code)) this.#hint ??= error.hint ?? DAMAGE_HINT
    const message = describeError(error)
    this.#output.warnOf(`ignoring error for ${quoteUnprintable(item)}: ${message}`, {
      message_type: 'error',
      error: { message },
      during: 'restore',
      item,
    })
  }

  #summary(progress: RestoreProgress): void {
    const seconds = this.#status.elapsedSeconds
    if (this.#output.isJson) {
      const { percent_done: _, ...fields } = statusJson(progress, seconds)
      this.#output.printJson({ message_type: 'summary', ...fields })
      return
    }
    const { filesRestored, filesTotal, bytesRestored, bytesTotal } = progress
    const isAll = filesRestored === filesTotal && bytesRestored === bytesTotal
    const counts = isAll
      ? `${filesTotal} files/dirs (${formatBytes(bytesTotal)})`
      : `${filesRestored} / ${filesTotal} files/dirs (${formatBytes(bytesRestored)} / ${formatBytes(bytesTotal)})`
    // Even with --quiet, as restic.
    this.#output.printResult(`Summary: Restored ${counts} in ${formatSeconds(seconds)}${others(progress)}\n`)
  }

  #statusText(progress: RestoreProgress, seconds: number): string {
    const { filesRestored, filesTotal, bytesRestored, bytesTotal } = progress
    const remaining = remainingSeconds(bytesTotal - bytesRestored, this.#bytesPerSecond)
    const eta = remaining === undefined ? '' : ` ETA ${formatSeconds(remaining)}`
    const errors = this.#errorCount === 0 ? '' : `, ${this.#errorCount} errors`
    return (
      `[${formatSeconds(seconds)}] ${formatPercent(bytesRestored, bytesTotal)}  ` +
      `${filesRestored} files/dirs ${formatBytes(bytesRestored)}, ` +
      `total ${filesTotal} files/dirs ${formatBytes(bytesTotal)}${others(progress)}${errors}, ` +
      `${formatBytes(Math.round(this.#bytesPerSecond))}/s${eta}`
    )
  }

  #item({ action, path, size, isDir }: RestoredItem): void {
    if (this.#output.isJson) {
      this.#output.printJson({ message_type: 'verbose_status', action, item: path, size })
      return
    }
    const suffix = isDir || action === 'deleted' || size === 0 ? '' : ` with size ${formatBytes(size)}`
    this.#output.print(`${action.padEnd(9)} ${quoteUnprintable(path)}${suffix}`, 3)
  }
}

function statusJson(progress: RestoreProgress, seconds: number): Record<string, number> {
  const { bytesTotal, bytesRestored } = progress
  return {
    ...omitZero({ seconds_elapsed: Math.floor(seconds) }),
    percent_done: bytesTotal > 0 ? Math.min(1, bytesRestored / bytesTotal) : 0,
    ...omitZero({
      total_files: progress.filesTotal,
      files_restored: progress.filesRestored,
      files_skipped: progress.filesSkipped,
      files_deleted: progress.filesDeleted,
      total_bytes: bytesTotal,
      bytes_restored: bytesRestored,
      bytes_skipped: progress.bytesSkipped,
    }),
  }
}

function others({ filesSkipped, bytesSkipped, filesDeleted }: RestoreProgress): string {
  const skipped = filesSkipped > 0 ? `, skipped ${filesSkipped} files/dirs ${formatBytes(bytesSkipped)}` : ''
  return filesDeleted > 0 ? `${skipped}, deleted ${filesDeleted} files/dirs` : skipped
}
