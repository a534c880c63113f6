/** A program of the system that carries our bytes (ssh, rclone): started, listened to, and stopped. */
import { spawn, type ChildProcess } from 'node:child_process'
import { Socket } from 'node:net'
import { PassThrough, type Readable, type Writable } from 'node:stream'
import { oneLine } from './http-breaks.ts'

export interface HelperOptions {
  /** Called with every line the program writes to its standard error. */
  readonly onMessage?: ((line: string) => void) | undefined
  /**
   * Whether the program may ask things on the terminal. Ctrl-C reaches it as well then, so it is started to ignore it:
   * we still need it to take our lock away. All others get a session of their own.
   */
  readonly usesTerminal: boolean
  /** Whether `input` and `output` are to be one and the same socket. Not on Windows. */
  readonly usesSocket?: boolean
}

/** How many of the last lines are kept to explain an end. */
const LINES_KEPT = 20
const LINE_LENGTH_MAX = 1000
const IS_WINDOWS = process.platform === 'win32'
/** Before a program takes the place of the shell. The other end of descriptor 3 is a socket of ours. */
const IGNORE_INTERRUPT = 'trap "" INT; '
const TO_SOCKET = ' <&3 >&3 3>&-'

export class HelperProgram {
  /** What we say to the program. */
  readonly input: Writable
  /** What the program says to us. */
  readonly output: Readable
  /** Resolves when it has ended and said its last word. Never rejects. */
  readonly ended: Promise<void>
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  #end: string | undefined

  /** @param command the program and its arguments, at least the program */
  constructor(command: readonly string[], options: HelperOptions) {
    const { usesTerminal } = options
    const usesSocket = options.usesSocket === true && !IS_WINDOWS
    const script = `${usesTerminal ? IGNORE_INTERRUPT : ''}exec "$@"${usesSocket ? TO_SOCKET : ''}`
    const [file = '', ...args] = IS_WINDOWS ? command : ['/bin/sh', '-c', script, 'sh', ...command]
    this.#child = spawn(file, args, {
      stdio: usesSocket ? ['ignore', 'ignore', 'pipe', 'pipe'] : ['pipe', 'pipe', 'pipe'],
      detached: !usesTerminal && !IS_WINDOWS,
      windowsHide: true,
    })
    const socket = this.#child.stdio[3]
    // A program that could not be started has no pipes.
    this.input = (socket instanceof Socket ? socket : this.#child.stdin) ?? new PassThrough()
    this.output = (socket instanceof Socket ? socket : this.#child.stdout) ?? new PassThrough().end()
    // A program that ends closes its pipes, and what is written to them then fails: its end tells why.
    this.input.on('error', () => undefined)
    this.output.on('error', () => undefined)
    this.#listen(options.onMessage)
    this.ended = new Promise((resolve) => {
      this.#child.once('error', (error) => {
        this.#end ??= `cannot be started: ${oneLine(error.message)}`
        resolve()
      })
      this.#child.once('close', (code, signal) => {
        this.#end ??= signal === null ? `ended with exit code ${code ?? 0}` : `was ended by ${signal}`
        resolve()
      })
    })
  }

  get hasEnded(): boolean {
    return this.#end !== undefined
  }

  /** How it ended, in words; empty while it runs. */
  get end(): string {
    return this.#end ?? ''
  }

  /** The last lines it wrote to its standard error. */
  get lastLines(): readonly string[] {
    return this.#lines
  }

  /** Whether this process lives on as long as the program does: only while we wait for it. */
  holdOpen(isHeld: boolean): void {
    for (const part of [this.#child, ...this.#child.stdio]) {
      if (part !== this.#child && !(part instanceof Socket)) continue
      if (isHeld) part.ref()
      else part.unref()
    }
  }

  /** Lets it end by itself for a while, then by force. */
  async stop(graceMs: number): Promise<void> {
    this.holdOpen(true)
    this.input.end()
    const timer = setTimeout(() => this.kill(), graceMs)
    await this.ended
    clearTimeout(timer)
  }

  kill(): void {
    this.holdOpen(true)
    this.#child.kill('SIGKILL')
  }

  #listen(onMessage: ((line: string) => void) | undefined): void {
    let rest = ''
    const say = (text: string): void => {
      const line = oneLine(text)
      if (line === '') return
      this.#lines.push(line)
      if (this.#lines.length > LINES_KEPT) this.#lines.shift()
      onMessage?.(line)
    }
    this.#child.stderr?.setEncoding('utf8')
    this.#child.stderr?.on('error', () => undefined)
    this.#child.stderr?.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = (lines.pop() ?? '').slice(0, LINE_LENGTH_MAX)
      lines.forEach(say)
    })
    this.#child.stderr?.on('end', () => say(rest))
  }
}
