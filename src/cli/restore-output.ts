/** What restore prints: progress, items, summary (command spec, "restore" and §3). */
import {
  shortId,
  type RestoredItem,
  type RestoreOptions,
  type RestoreProgress,
  type RestoreResult,
} from '../index.ts'
import { omitZero } from './backup-output.ts'
import type { CommandContext } from './context.ts'
import { formatBytes, formatGoTime, formatPercent, formatSeconds, printable } from './format.ts'
import { jsonIntervalMs } from './progress.ts'

const ITEM_VERBOSITY = 3

type Callbacks = Pick<RestoreOptions, 'onSnapshot' | 'onProgress' | 'onItem' | 'onError' | 'onVerifyStart'>

export class RestoreOutput {
  readonly #context: CommandContext
  readonly #target: string
  readonly #startedMs = performance.now()
  readonly #jsonIntervalMs: number
  #lastJsonMs = 0

  constructor(context: CommandContext, target: string) {
    this.#context = context
    this.#target = target
    this.#jsonIntervalMs = jsonIntervalMs(context.io.env)
  }

  callbacks(): Callbacks {
    const context = this.#context
    return {
      onSnapshot: ({ id, snapshot }) => {
        const { paths, time, username, hostname } = snapshot
        const what = `snapshot ${shortId(id)} of [${paths.map(printable).join(' ')}] at ${formatGoTime(time)} by ${username}@${hostname}`
        context.print(`restoring ${what} to ${this.#target}`)
      },
      onProgress: context.verbosity === 0 ? undefined : (progress) => this.#status(progress),
      onItem: context.verbosity >= ITEM_VERBOSITY ? (item) => this.#item(item) : undefined,
      onError: ({ item, error }) => {
        if (context.isJson) {
          context.warnJson({
            message_type: 'error',
            error: { message: error.message },
            during: 'restore',
            item: printable(item),
          })
        } else {
          context.warn(`ignoring error for ${printable(item)}: ${printable(error.message)}`)
        }
      },
      onVerifyStart: () => context.print(`verifying files in ${this.#target}`),
    }
  }

  summary(result: RestoreResult, verified: boolean): void {
    const context = this.#context
    if (context.isJson) {
      const { percent_done: _, ...fields } = this.#fields(result)
      context.printJson({ message_type: 'summary', ...fields })
      return
    }
    const skipped =
      result.filesSkipped > 0
        ? `, skipped ${result.filesSkipped} files/dirs ${formatBytes(result.bytesSkipped)}`
        : ''
    const deleted = result.filesDeleted > 0 ? `, deleted ${result.filesDeleted} files/dirs` : ''
    const isComplete =
      result.errorCount === 0 && result.filesRestored + result.filesSkipped >= result.filesTotal
    const counts = isComplete
      ? `${result.filesRestored} files/dirs (${formatBytes(result.bytesRestored)})`
      : `${result.filesRestored} / ${result.filesTotal} files/dirs (${formatBytes(result.bytesRestored)} / ${formatBytes(result.bytesTotal)})`
    context.print(
      `Summary: Restored ${counts} in ${formatSeconds(result.durationSeconds)}${skipped}${deleted}`,
    )
    if (verified) context.print(`finished verifying ${result.filesVerified} files in ${this.#target}`)
  }

  #status(progress: RestoreProgress): void {
    const context = this.#context
    if (!context.isJson) {
      context.progress.update(() => this.#statusText(progress))
      return
    }
    const now = performance.now()
    if (now - this.#lastJsonMs < this.#jsonIntervalMs) return
    this.#lastJsonMs = now
    context.printJson({ message_type: 'status', ...this.#fields(progress) })
  }

  #statusText(progress: RestoreProgress): string {
    const seconds = (performance.now() - this.#startedMs) / 1000
    const rate = seconds > 0 ? `, ${formatBytes(Math.round(progress.bytesRestored / seconds))}/s` : ''
    return (
      `[${formatSeconds(seconds)}] ${formatPercent(progress.bytesRestored, progress.bytesTotal)}  ` +
      `${progress.filesRestored} files/dirs ${formatBytes(progress.bytesRestored)}, ` +
      `total ${progress.filesTotal} files/dirs ${formatBytes(progress.bytesTotal)}${rate}`
    )
  }

  #fields(progress: RestoreProgress): Record<string, number> {
    return {
      ...omitZero({ seconds_elapsed: Math.floor((performance.now() - this.#startedMs) / 1000) }),
      percent_done: progress.bytesTotal > 0 ? Math.min(1, progress.bytesRestored / progress.bytesTotal) : 0,
      ...omitZero({
        total_files: progress.filesTotal,
        files_restored: progress.filesRestored,
        files_skipped: progress.filesSkipped,
        files_deleted: progress.filesDeleted,
        total_bytes: progress.bytesTotal,
        bytes_restored: progress.bytesRestored,
        bytes_skipped: progress.bytesSkipped,
      }),
    }
  }

  #item({ action, path, size, isDir }: RestoredItem): void {
    const context = this.#context
    if (context.isJson) {
      context.printJson({ message_type: 'verbose_status', action, item: printable(path), size })
      return
    }
    const suffix = !isDir && size > 0 ? ` with size ${formatBytes(size)}` : ''
    context.print(`${action.padEnd(9)} ${printable(path)}${suffix}`, ITEM_VERBOSITY)
  }
}
