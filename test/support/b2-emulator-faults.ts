/** Things that go wrong on the way to B2, on request: which call, how often, and what happens (B2 spec §7). */

export type FaultAction =
  /**
   * Answers so instead of doing it. `early`: without reading the request's body. `text` is sent instead of JSON. In
   * `message`, `{token}` is what the client sent for its authorization: B2 quotes it in some messages.
   */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly code?: string
      readonly message?: string
      readonly retryAfter?: string
      readonly text?: string
      readonly early?: boolean
    }
  /** Breaks the connection before anything was read, or in the middle of the request's body. */
  | { readonly kind: 'reset'; readonly inBody?: boolean }
  /** Does it all, then breaks the connection without an answer. */
  | { readonly kind: 'lose-answer' }
  | { readonly kind: 'hang' }
  | { readonly kind: 'delay'; readonly ms: number }
  /** Downloads: half of the body then a break, one wrong byte, half of the body then silence, the range not minded. */
  | { readonly kind: 'truncate' | 'corrupt' | 'stall' | 'ignore-range' }
  /** Forgets what it gave out, then goes on. */
  | { readonly kind: 'expire-account-tokens' | 'expire-upload-tokens' }
  /** Something else happens first. */
  | { readonly kind: 'meanwhile'; readonly run: () => void }
  /** Changes the JSON of an answer that would have been good. */
  | { readonly kind: 'rewrite'; readonly change: (answer: Record<string, unknown>) => unknown }

export interface Fault {
  /** `b2_upload_file`, `b2_download_file_by_name` …; none: every call. */
  readonly op?: string
  readonly method?: string
  /** Matched against the file's name where the call has one. */
  readonly name?: RegExp
  /** How many matching calls are left alone first. */
  readonly skip?: number
  /** How many are hit after that; default 1. */
  readonly count?: number
  /** The share of those that is hit, 0 to 1; default all. */
  readonly probability?: number
  readonly action: FaultAction
}

export interface FaultyCall {
  readonly op: string
  readonly method: string
  readonly name: string | undefined
}

interface Rule {
  readonly fault: Fault
  seen: number
  hits: number
}

/** The faults in force. */
export class FaultPlan {
  #rules: Rule[] = []
  readonly #random: () => number

  constructor(random: () => number) {
    this.#random = random
  }

  /** @returns how often it has struck so far */
  add(fault: Fault): () => number {
    const rule: Rule = { fault, seen: 0, hits: 0 }
    this.#rules.push(rule)
    return () => rule.hits
  }

  clear(): void {
    this.#rules = []
  }

  /** What happens to this call: the first rule that applies, which is then used up by one. */
  strike(call: FaultyCall): FaultAction | undefined {
    for (const rule of this.#rules) {
      if (!matches(rule.fault, call)) continue
      rule.seen += 1
      const { skip = 0, count = 1, probability = 1 } = rule.fault
      if (rule.seen <= skip || rule.hits >= count) continue
      if (probability < 1 && this.#random() >= probability) continue
      rule.hits += 1
      return rule.fault.action
    }
    return undefined
  }
}

function matches({ op, method, name }: Fault, call: FaultyCall): boolean {
  if (op !== undefined && op !== call.op) return false
  if (method !== undefined && method !== call.method) return false
  return name === undefined || (call.name !== undefined && name.test(call.name))
}
