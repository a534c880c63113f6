/** Progress: what is drawn on a terminal, by a clock of the test's own, and what is not printed anywhere else. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { BackupOutput } from '../../src/cli/backup-output.ts'
import type { CliIo } from '../../src/cli/io.ts'
import { Output, StatusReporter, type Verbosity } from '../../src/cli/output.ts'
import { ProgressLine, progressIntervalMs } from '../../src/cli/progress.ts'
import { RestoreOutput } from '../../src/cli/restore-output.ts'
import type { BackupProgress } from '../../src/index.ts'
import { RateEstimator, remainingSeconds } from '../../src/cli/rate.ts'
import { makeSample, type Sample } from './sample.ts'
import { jsonLines, matching, transcript } from './transcript.ts'

vi.mock('node:timers/promises', async (load) => ({
  ...(await load<object>()),
  setTimeout: () => Promise.resolve(),
}))

const CLEAR = '\r\u001b[K'

/** Everything there is to see, and the time it is. */
class Screen {
  ms = 0
  text = ''
  readonly io: CliIo
  ask: () => void = () => undefined

  constructor(options: { terminal?: boolean; columns?: number; env?: Record<string, string> } = {}) {
    const { terminal = true, columns = 60, env = {} } = options
    const write = (text: string | Uint8Array): void => void (this.text += Buffer.from(text).toString())
    this.io = {
      env,
      stdout: { write, isTTY: terminal, columns },
      stderr: { write },
      // oxlint-disable-next-line require-yield -- nothing to read
      stdin: (async function* (): AsyncGenerator<Uint8Array> {})(),
      signal: new AbortController().signal,
      now: () => this.ms,
      onStatusRequest: (listener) => {
        this.ask = listener
      },
    }
  }

  output(options: { isJson?: boolean; verbosity?: Verbosity } = {}): Output {
    return new Output(this.io, { isJson: false, verbosity: 1, ...options })
  }

  /** What was written since the last look. */
  seen(): string {
    const { text } = this
    this.text = ''
    return text
  }
}

// The clock of a Screen stands still unless it is moved: so must the timer that looks at it.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] }))
afterEach(() => void vi.useRealTimers())

describe('a line of progress', () => {
  it('is drawn at once, then ten times a second, over itself', () => {
    const screen = new Screen()
    const line = new ProgressLine(screen.io, { enabled: true })
    line.update(() => 'first')
    expect(screen.seen()).toBe(`${CLEAR}first`)
    screen.ms = 99
    line.update(() => 'too early')
    expect(screen.seen()).toBe('')
    screen.ms = 100
    line.update(() => 'second')
    expect(screen.seen()).toBe(`${CLEAR}second`)
    line.done()
    expect(screen.seen()).toBe(CLEAR)
    line.done()
    expect(screen.seen()).toBe('')
  })

  it('goes on by itself while nothing happens', () => {
    const screen = new Screen()
    const line = new ProgressLine(screen.io, { enabled: true })
    line.update(() => `at ${screen.ms}`)
    screen.ms = 250
    vi.advanceTimersByTime(100)
    expect(screen.seen()).toBe(`${CLEAR}at 0${CLEAR}at 250`)
    line.done()
    screen.ms = 500
    vi.advanceTimersByTime(1000)
    expect(screen.seen()).toBe(CLEAR)
  })

  it('makes room for other output and comes back', () => {
    const screen = new Screen()
    const output = screen.output()
    output.progress.update(() => 'busy')
    output.print('a line')
    output.warn('a warning')
    screen.ms = 100
    output.progress.update(() => 'busy')
    expect(screen.seen()).toBe(`${CLEAR}busy${CLEAR}a line\na warning\n${CLEAR}busy`)
  })

  it('fits the terminal, whatever it shows', () => {
    const screen = new Screen({ columns: 10 })
    const line = new ProgressLine(screen.io, { enabled: true })
    line.update(() => '0123456789')
    expect(screen.seen()).toBe(`${CLEAR}012345678`)
    screen.ms = 100
    line.update(() => '日本語日本語')
    expect(screen.seen()).toBe(`${CLEAR}日本語日`)
    screen.ms = 200
    line.update(() => '\u001b[2J\nx')
    expect(screen.seen()).toBe(`${CLEAR}\\x1b[2J x`)
  })

  it.each([
    ['in a pipe', { terminal: false }],
    ['on a dumb terminal', { env: { TERM: 'dumb' } }],
    ['in a pipe where the rate makes no sense', { terminal: false, env: { RESTIC_PROGRESS_FPS: 'often' } }],
    ['in a pipe where the rate is 0', { terminal: false, env: { RESTIC_PROGRESS_FPS: '0' } }],
  ])('is not shown %s', (_where, options) => {
    const screen = new Screen(options)
    const output = screen.output()
    output.progress.update(() => 'hidden')
    screen.ms = 10_000
    output.progress.update(() => 'hidden')
    vi.advanceTimersByTime(10_000)
    output.progress.done()
    expect(screen.seen()).toBe('')
  })

  it('is printed line by line where RESTIC_PROGRESS_FPS asks for it', () => {
    const screen = new Screen({ terminal: false, env: { RESTIC_PROGRESS_FPS: '0.5' } })
    const { progress } = screen.output()
    for (screen.ms = 0; screen.ms <= 5000; screen.ms += 500) progress.update(() => `at ${screen.ms}`)
    expect(screen.seen()).toBe('at 2000\nat 4000\n')
  })

  it.each([
    [undefined, 100],
    ['', 100],
    ['1', 1000],
    ['0.1', 10_000],
    ['60', 1000 / 60],
    ['1000', 1000 / 60],
    ['-1', 100],
    ['fast', 100],
  ])('has its rate from RESTIC_PROGRESS_FPS=%s', (fps, ms) => {
    expect(progressIntervalMs({ RESTIC_PROGRESS_FPS: fps })).toBe(ms)
  })

  it('is not drawn with -q, but shown to whoever asks', () => {
    const screen = new Screen()
    const output = screen.output({ verbosity: 0 })
    output.progress.update(() => 'busy')
    expect(screen.seen()).toBe('')
    screen.ask()
    expect(screen.seen()).toBe(`${CLEAR}busy`)
  })

  it('is shown to whoever asks in a pipe, but not twice the same', () => {
    const screen = new Screen({ terminal: false })
    const { progress } = screen.output()
    screen.ask()
    progress.update(() => 'one')
    expect(screen.seen()).toBe('')
    screen.ask()
    screen.ask()
    progress.update(() => 'two')
    screen.ask()
    expect(screen.seen()).toBe('one\ntwo\n')
    progress.done()
    screen.ask()
    expect(screen.seen()).toBe('')
  })
})

describe('a counter', () => {
  it('counts, and leaves its last line', () => {
    const screen = new Screen()
    const count = screen.output().counter('packs')
    count(0, 8)
    screen.ms = 61_000
    count(2, 8)
    count(8, 8)
    expect(screen.seen()).toBe(
      `${CLEAR}[0:00] 0.00%  0 / 8 packs${CLEAR}[1:01] 25.00%  2 / 8 packs${CLEAR}[1:01] 100.00%  8 / 8 packs\n`,
    )
    count(8, 8)
    expect(screen.seen()).toBe('')
  })

  it('leaves its last line in a pipe as well, unless it is for terminals', () => {
    const screen = new Screen({ terminal: false })
    const output = screen.output()
    for (const count of [output.counter('packs'), output.counter('files', { terminalOnly: true })]) {
      count(0, 1)
      count(1, 1)
    }
    expect(screen.seen()).toBe('[0:00] 100.00%  1 / 1 packs\n')
  })

  it('has nothing to say with -q and as JSON', () => {
    const screen = new Screen()
    for (const options of [{ verbosity: 0 as const }, { isJson: true }]) {
      const count = screen.output(options).counter('packs')
      count(0, 1)
      screen.ask()
      count(1, 1)
    }
    expect(screen.seen()).toBe('')
  })

  it('does without a total', () => {
    const screen = new Screen()
    screen.output().counter('packs')(0, 0)
    expect(screen.seen()).toBe('[0:00]          0 packs\n')
  })
})

describe('a status', () => {
  const formats = {
    text: (done: number, seconds: number) => `${done} after ${seconds}s`,
    json: (done: number, seconds: number) => ({ done, seconds }),
  }

  it('is drawn on a terminal', () => {
    const screen = new Screen()
    const status = new StatusReporter(screen.output(), formats)
    screen.ms = 2000
    status.update(1)
    expect(status.isShown).toBe(true)
    status.stop()
    expect(screen.seen()).toBe(`${CLEAR}1 after 2s${CLEAR}`)
  })

  it('is JSON ten times a second, wherever it goes', () => {
    const screen = new Screen({ terminal: false })
    const status = new StatusReporter(screen.output({ isJson: true }), formats)
    for (screen.ms = 0; screen.ms <= 250; screen.ms += 50) status.update(screen.ms)
    expect(jsonLines(screen.seen())).toEqual([
      { message_type: 'status', done: 100, seconds: 0.1 },
      { message_type: 'status', done: 200, seconds: 0.2 },
    ])
    status.stop()
    vi.advanceTimersByTime(1000)
    expect(screen.seen()).toBe('')
  })

  it('is told to whoever asks, even with -q', () => {
    for (const isJson of [true, false]) {
      const screen = new Screen({ terminal: false })
      const status = new StatusReporter(screen.output({ isJson, verbosity: 0 }), formats)
      expect(status.isShown).toBe(false)
      screen.ask()
      screen.ms = 5000
      status.update(1)
      expect(screen.seen()).toBe('')
      screen.ask()
      expect(screen.seen()).toBe(isJson ? '{"message_type":"status","done":1,"seconds":5}\n' : '1 after 5s\n')
      status.stop()
      screen.ask()
      expect(screen.seen()).toBe('')
    }
  })
})

describe('the rate', () => {
  it('is that of the last seconds', () => {
    let ms = 0
    const rate = new RateEstimator(() => ms)
    expect(rate.update(0)).toBe(0)
    for (ms = 1000; ms <= 60_000; ms += 1000) rate.update(ms)
    ms = 60_000
    expect(rate.update(60_000)).toBeCloseTo(1000, 0)
    // Ten times as fast from now on: after the window nothing is left of before.
    for (ms = 61_000; ms <= 90_000; ms += 1000) rate.update(60_000 + (ms - 60_000) * 10)
    ms = 90_000
    expect(rate.update(360_000)).toBeCloseTo(10_000, 0)
  })

  it('tells how long the rest takes, where it can', () => {
    expect(remainingSeconds(10_000, 2000)).toBe(5)
    expect(remainingSeconds(0, 2000)).toBeUndefined()
    expect(remainingSeconds(10_000, 1024)).toBeUndefined()
  })
})

describe('how far a backup is', () => {
  const EARLY: BackupProgress = {
    filesDone: 0,
    bytesDone: 0,
    errorCount: 0,
    currentFiles: [],
    totals: undefined,
    isScanFinished: false,
    bytesStored: 0,
  }
  const HALF: BackupProgress = {
    ...EARLY,
    filesDone: 1,
    bytesDone: 1 << 20,
    errorCount: 2,
    currentFiles: ['/src/größe', '/src/a\nb'],
    totals: { files: 3, dirs: 1, others: 0, bytes: 11 << 20 },
    isScanFinished: true,
  }

  function shown(isJson: boolean, ...steps: BackupProgress[]): string {
    return shownFor(false, isJson, ...steps)
  }

  function shownFor(isRemote: boolean, isJson: boolean, ...steps: BackupProgress[]): string {
    const screen = new Screen({ columns: 500 })
    const backup = new BackupOutput(screen.output({ isJson }), {
      dryRun: false,
      targets: { paths: [], missing: 0 },
      showsStored: isRemote,
    })
    const { onProgress } = backup.callbacks(true)
    for (const step of steps) {
      screen.seen()
      onProgress!(step)
      screen.ms += 1000
    }
    screen.ask()
    backup.stop()
    return screen.seen()
  }

  it('shows what is known before the scan', () => {
    expect(shown(false, EARLY, { ...EARLY, filesDone: 2, bytesDone: 2048 })).toContain(
      `${CLEAR}[0:01] 2 files 2.000 KiB, 0 errors, 2.000 KiB/s${CLEAR}`,
    )
  })

  it('shows beside it what has arrived in a store far away', () => {
    const step = { ...EARLY, filesDone: 2, bytesDone: 2048, bytesStored: 1024 }
    expect(shownFor(true, false, EARLY, step)).toContain('2 files 2.000 KiB, uploaded 1.000 KiB, 0 errors')
    expect(shownFor(false, false, EARLY, step)).not.toContain('uploaded')
  })

  it('shows percentage, totals, rate, the time left and the files at hand', () => {
    expect(shown(false, EARLY, HALF)).toContain(
      `${CLEAR}[0:01] 9.09%  1 files 1.000 MiB, total 3 files 11.000 MiB, 2 errors, 1.000 MiB/s ETA 0:10` +
        `  /src/größe  "/src/a\\nb"${CLEAR}`,
    )
  })

  it('promises nothing before the scan is through', () => {
    const line = shown(false, EARLY, { ...HALF, isScanFinished: false })
    expect(line).toContain('[0:01] 1 files 1.000 MiB, total 3 files 11.000 MiB, 2 errors, 1.000 MiB/s  /src')
  })

  it('has the members of restic as JSON', () => {
    expect(jsonLines(shown(true, EARLY, HALF)).at(-1)).toEqual({
      message_type: 'status',
      seconds_elapsed: 2,
      seconds_remaining: 10,
      percent_done: 1 / 11,
      total_files: 3,
      files_done: 1,
      total_bytes: 11 << 20,
      bytes_done: 1 << 20,
      error_count: 2,
      current_files: ['/src/größe', '/src/a\nb'],
    })
    expect(jsonLines(shown(true, EARLY)).at(-1)).toEqual({
      message_type: 'status',
      seconds_elapsed: 1,
      percent_done: 0,
    })
  })
})

describe('how far a restore is', () => {
  const PROGRESS = {
    filesTotal: 8,
    filesRestored: 4,
    filesSkipped: 2,
    filesDeleted: 1,
    bytesTotal: 11 << 20,
    bytesRestored: 1 << 20,
    bytesSkipped: 1 << 20,
  }

  function shown(isJson: boolean): string {
    const screen = new Screen({ columns: 500 })
    const output = new RestoreOutput(screen.output({ isJson }), 'target')
    screen.ms = 1000
    output.callbacks().onProgress!(PROGRESS)
    screen.ask()
    output.stop()
    return screen.seen()
  }

  it('shows percentage, totals, rate and the time left, without what was there already', () => {
    expect(shown(false)).toBe(
      `${CLEAR}[0:01] 9.09%  4 files/dirs 1.000 MiB, total 8 files/dirs 11.000 MiB, ` +
        `skipped 2 files/dirs 1.000 MiB, deleted 1 files/dirs, 1.000 MiB/s ETA 0:10${CLEAR}`,
    )
  })

  it('has the members of restic as JSON', () => {
    expect(jsonLines(shown(true)).at(-1)).toEqual({
      message_type: 'status',
      seconds_elapsed: 1,
      percent_done: 1 / 11,
      total_files: 8,
      files_restored: 4,
      files_skipped: 2,
      files_deleted: 1,
      total_bytes: 11 << 20,
      bytes_restored: 1 << 20,
      bytes_skipped: 1 << 20,
    })
  })
})

describe('commands', () => {
  let sample: Sample

  beforeAll(async () => {
    sample = await makeSample()
    mkdirSync('other')
    for (let i = 0; i < 20; i++) writeFileSync(`other/${i}`, 'x'.repeat(100_000 + i))
  })
  afterAll(() => sample.remove())
  afterEach(() => vi.useRealTimers())

  /** What a command draws on a terminal where each look at the clock finds a second gone. */
  async function drawn(args: string, columns = 500): Promise<string[]> {
    vi.useRealTimers()
    let ms = 0
    const { code, stdout } = await transcript(args, { terminal: { columns }, now: () => (ms += 1000) })
    expect(code).toBe(0)
    return stdout.replaceAll(CLEAR, '\n').split('\n')
  }

  it('backup draws files, bytes, rate and what it is at', async () => {
    const lines = await drawn(`-r ${sample.copy()} backup other`)
    expect(lines).toContainEqual(
      matching(/^\[\d+:\d\d\] (\d+\.\d\d% {2})?\d+ files [\d.]+ (B|[KM]iB), total 20 files 1\.9\d+ MiB, 0 errors, [\d.]+ (B|[KM]iB)\/s/), // prettier-ignore
    )
    expect(lines).toContainEqual(
      matching(/^repository [0-9a-f]{8} opened \(version 2, compression level auto\)$/),
    )
    expect(lines).toContainEqual(matching(/^\[\d+:\d\d\] 100\.00% {2}\d+ \/ \d+ index files loaded$/))
  })

  it('restore draws files, bytes and rate', async () => {
    const lines = await drawn(`-r ${sample.repository} restore latest --target out`)
    expect(lines).toContainEqual(
      matching(/^\[\d+:\d\d\] [\d.]+% {2}\d+ files\/dirs [\d.]+ B, total 6 files\/dirs 12 B, [\d.]+ B\/s/),
    )
  })

  it.each([
    ['check --read-data', ['snapshots', 'packs']],
    ['prune --dry-run', ['snapshots']],
    ['snapshots', []],
  ])('%s draws counters', async (args, nouns) => {
    const lines = await drawn(`-r ${sample.repository} ${args}`)
    for (const noun of nouns) {
      expect(lines).toContainEqual(matching(`^\\[\\d+:\\d\\d\\] 0\\.00%  0 / \\d+ ${noun}$`))
      expect(lines).toContainEqual(matching(`^\\[\\d+:\\d\\d\\] 100\\.00%  \\d+ / \\d+ ${noun}$`))
    }
    expect(lines.at(-1)).toBe('')
  })

  it.each(['backup other', 'check', 'prune', 'restore latest --target out'])(
    '%s draws nothing in a pipe',
    async (args) => {
      vi.useRealTimers()
      let ms = 0
      const { stdout, stderr } = await transcript(`-r ${sample.copy()} ${args}`, { now: () => (ms += 1000) })
      // The folder's name is random, and may look like a sign.
      const text = (stdout + stderr).replace(/\/tmp\/\S+/g, '')
      for (const sign of ['\r', '\u001b', ' B/s', 'iB/s', 'files loaded', '] 0.00%'])
        expect(text).not.toContain(sign)
    },
  )

  it('backup prints lines in a pipe where RESTIC_PROGRESS_FPS asks for them', async () => {
    vi.useRealTimers()
    let ms = 0
    const { stdout } = await transcript(`-r ${sample.copy()} backup other`, {
      env: { RESTIC_PROGRESS_FPS: '1' },
      now: () => (ms += 1000),
    })
    expect(stdout).toMatch(/^\[\d+:\d\d\] .*20 files 1\.9\d+ MiB, 0 errors/m)
    expect(stdout).not.toContain('\r')
  })

  it('backup emits status as JSON', async () => {
    vi.useRealTimers()
    let ms = 0
    const { stdout } = await transcript(`-r ${sample.copy()} backup --json other`, {
      now: () => (ms += 1000),
    })
    const status = jsonLines(stdout).filter((line) => line['message_type'] === 'status')
    expect(status.at(-1)).toMatchObject({ percent_done: 1, total_files: 20, files_done: 20 })
    expect(status.at(-1)).not.toHaveProperty('error_count')
  })

  it('names on a terminal neither move the cursor nor pass for other lines', async () => {
    const name = 'evil\u001b[2J\nsnapshot deadbeef saved'
    mkdirSync('evil')
    writeFileSync(`evil/${name}`, '')
    const repository = sample.copy()
    const args = ['-r', repository, 'backup', '-vv', 'evil', '--tag', 'a\u001b[31m', '--host', 'h\nost']
    vi.useRealTimers()
    const { stdout } = await transcript(args, { terminal: { columns: 500 }, now: () => 0 })
    expect(stdout).toContain(String.raw`"/evil/evil\x1b[2J\nsnapshot deadbeef saved"`)
    const lines = stdout.replaceAll(CLEAR, '\n')
    expect(lines).not.toContain('\u001b')
    expect(lines).not.toContain('\nsnapshot deadbeef')
    const table = await transcript(['-r', repository, 'snapshots'], { terminal: {} })
    expect(table.stdout).toContain(String.raw`"a\x1b[31m"`)
    expect(table.stdout).toContain(String.raw`"h\nost"`)
    const missing = await transcript(['-r', repository, 'backup', 'evil', 'nix\u001b[2J'])
    expect(missing.stderr).toContain(String.raw`"nix\x1b[2J" does not exist, skipping`)
    rmSync('evil', { recursive: true })
  })
})
