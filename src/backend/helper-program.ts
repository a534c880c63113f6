/** A program of the system that carries our bytes (ssh, rclone): started, listened to, and stopped. */
import { spawn, type ChildProcessByStdio } from 'node:child_process'
import { Socket } from 'node:net'
import type { Readable, Writable } from 'node:stream'
import { oneLine } from './http-breaks.ts'

export interface HelperOptions {
  /** Called with every line the program writes to its standard error. */
  readonly onMessage?: ((line: string) => void) | undefined
  /**
   * Whether the program may ask things on the terminal. Ctrl-C reaches it as well then, so it is started to ignore it:
   * we still need it to take our lock away. All others get a session of their own.
   */
  readonly usesTerminal: boolean
}

/** How many of the last lines are kept to explain an end. */
const LINES_KEPT = 20
const LINE_LENGTH_MAX = 1000
const IGNORE_INTERRUPT = ['/bin/sh', '-c', 'trap "" INT; exec "$@"', 'sh']

export class HelperProgram {
  /** What we say to the program. */
  readonly input: Writable
  /** What the program says to us. */
  readonly output: Readable
  /** Resolves when it has ended and said its last word. Never rejects. */
  readonly ended: Promise<void>
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #lines: string[] = []
  #end: string | undefined

  /** @param command the program and its arguments, at least the program */
  constructor(command: readonly string[], options: HelperOptions) {
    const isWrapped = options.usesTerminal && process.platform !== 'win32'
    const [file = '', ...args] = isWrapped ? [...IGNORE_INTERRUPT, ...command] : command
    this.#child = spawn(file, args, {
      stdio: ['pipe', 'pipe', 'pipe'],
      detached: !options.usesTerminal && process.platform !== 'win32',
      windowsHide: true,
    })
    this.input = this.#child.stdin
    this.output = this.#child.stdout
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
    const { stdin, stdout, stderr } = this.#child
    const held: unknown[] = [this.#child, stdin, stdout, stderr]
    for (const part of held) {
      if (!(part instanceof Socket) && part !== this.#child) continue
      const handle = part instanceof Socket ? part : this.#child
      if (isHeld) handle.ref()
      else handle.unref()
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
    this.#child.stderr.setEncoding('utf8')
    this.#child.stderr.on('error', () => undefined)
    this.#child.stderr.on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = (lines.pop() ?? '').slice(0, LINE_LENGTH_MAX)
      lines.forEach(say)
    })
    this.#child.stderr.on('end', () => say(rest))
  }
}
