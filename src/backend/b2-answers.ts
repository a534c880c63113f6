/** B2's JSON answers read at the edge: what is not as documented is a broken answer, not a surprise further in. */
import { B2Error } from './b2-errors.ts'

/** What an application key may do, as b2_authorize_account (API v4) says. */
export interface B2Allowance {
  readonly capabilities: readonly string[]
  /** The only buckets the key may use; undefined: all. A deleted bucket has no name. */
  readonly buckets: readonly { readonly id: string; readonly name: string | undefined }[] | undefined
  /** What all names must begin with. */
  readonly namePrefix: string
}

export interface B2Account {
  readonly accountId: string
  readonly apiUrl: string
  readonly downloadUrl: string
  readonly authorizationToken: string
  readonly allowance: B2Allowance
}

/** One upload URL and the only token it takes. */
export interface UploadTarget {
  readonly url: string
  readonly token: string
}

/** One version of a file in a listing: stored content, or a marker that hides it. */
export interface B2Version {
  readonly name: string
  readonly fileId: string
  readonly length: number
}

/** A part of a listing and where the next one starts. */
export interface B2Page {
  readonly files: readonly B2Version[]
  readonly next: { readonly name: string; readonly fileId: string | undefined } | undefined
}

type Fields = Readonly<Record<string, unknown>>

/** Reads one call's answer; every miss names the call. */
export class AnswerReader {
  readonly #operation: string

  constructor(operation: string) {
    this.#operation = operation
  }

  fields(value: unknown): Fields {
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value }
    throw this.#broken('it is no JSON object')
  }

  list(value: unknown): readonly unknown[] {
    if (Array.isArray(value)) return value
    throw this.#broken('a list is missing')
  }

  text(fields: Fields, name: string): string {
    const value = fields[name]
    if (typeof value === 'string' && value !== '') return value
    throw this.#broken(`${name} is missing`)
  }

  optionalText(fields: Fields, name: string): string | undefined {
    const value = fields[name]
    return typeof value === 'string' ? value : undefined
  }

  length(fields: Fields, name: string): number {
    const value = fields[name]
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    throw this.#broken(`${name} is missing`)
  }

  #broken(problem: string): B2Error {
    const message = `the answer is not one of Backblaze B2: ${problem}`
    return new B2Error('network', { operation: this.#operation, message })
  }
}

/** @param json the answer of b2_authorize_account, API v4 */
export function readAccount(json: unknown): B2Account {
  const read = new AnswerReader('b2_authorize_account')
  const account = read.fields(json)
  const storage = read.fields(read.fields(account['apiInfo'])['storageApi'])
  const allowed = read.fields(storage['allowed'])
  const buckets = allowed['buckets']
  return {
    accountId: read.text(account, 'accountId'),
    authorizationToken: read.text(account, 'authorizationToken'),
    apiUrl: read.text(storage, 'apiUrl'),
    downloadUrl: read.text(storage, 'downloadUrl'),
    allowance: {
      capabilities: read.list(allowed['capabilities']).map(String),
      namePrefix: read.optionalText(allowed, 'namePrefix') ?? '',
      buckets:
        buckets === null || buckets === undefined
          ? undefined
          : read.list(buckets).map((entry) => {
              const bucket = read.fields(entry)
              return { id: read.text(bucket, 'id'), name: read.optionalText(bucket, 'name') }
            }),
    },
  }
}

/** @param json the answer of b2_list_file_names or b2_list_file_versions */
export function readPage(operation: string, json: unknown): B2Page {
  const read = new AnswerReader(operation)
  const answer = read.fields(json)
  const files = read.list(answer['files']).map((entry) => {
    const file = read.fields(entry)
    return {
      name: read.text(file, 'fileName'),
      fileId: read.text(file, 'fileId'),
      length: read.length(file, 'contentLength'),
    }
  })
  const name = read.optionalText(answer, 'nextFileName')
  const fileId = read.optionalText(answer, 'nextFileId')
  return { files, next: name === undefined ? undefined : { name, fileId } }
}
