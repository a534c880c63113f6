/** What keeps an answer from coming: the words of Node and OpenSSL sorted by whether another try can help. */
import { ExchangeError } from './http-exchange.ts'

const UNTRUSTED = /^(ERR_TLS_CERT|CERT_|CRL_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_|INVALID_CA|HOSTNAME_MISMATCH)/
const CERTIFICATE_WANTED =
  /ALERT_(BAD_CERTIFICATE|CERTIFICATE_(REQUIRED|UNKNOWN|EXPIRED|REVOKED)|UNKNOWN_CA)$/
/** A name that does not exist; EAI_AGAIN is the one of a network that is down. */
const PERMANENT = new Set(['ENOTFOUND', 'ENOENT', 'EACCES', 'EPERM'])
const PLAIN_CODES = new Map([
  ['EAI_AGAIN', 'the name of the server cannot be looked up now'],
  ['ECONNREFUSED', 'the server refuses the connection'],
  ['ECONNRESET', 'the connection was cut'],
  ['ENOTFOUND', 'there is no server of that name'],
  ['EPIPE', 'the connection was cut'],
  ['ETIMEDOUT', 'the server does not answer'],
])
const HINTS = new Map([
  ['ENOTFOUND', 'check the name of the server in the location'],
  ['ENOENT', 'check the path of the socket in the location, and that its server runs'],
])

/** @param error what a request, a socket or a stream gave */
export function exchangeErrorOf(error: unknown): ExchangeError {
  if (error instanceof ExchangeError) return error
  const code = codeOf(error)
  const message = messageOf(error)
  if (UNTRUSTED.test(code)) {
    return new ExchangeError(`the certificate of the server cannot be verified: ${message}`, {
      code,
      isPermanent: true,
      hint: 'trust the CA that signed it with --cacert FILE',
    })
  }
  if (CERTIFICATE_WANTED.test(code)) {
    return new ExchangeError(`the server wants another client certificate: ${message}`, {
      code,
      isPermanent: true,
      hint: 'give one that it knows with --tls-client-cert FILE',
    })
  }
  if (code.startsWith('HPE_')) {
    return new ExchangeError('what answers there does not speak HTTP', {
      code,
      isPermanent: true,
      hint: 'check host and port in the location',
    })
  }
  if (/wrong version number/i.test(message)) {
    return new ExchangeError('the server does not speak https there', {
      code,
      isPermanent: true,
      hint: 'try http, or another port',
    })
  }
  const plain = PLAIN_CODES.get(code)
  return new ExchangeError(plain === undefined ? message : `${plain} (${code})`, {
    code,
    isPermanent: PERMANENT.has(code),
    hint: HINTS.get(code),
  })
}

/** Of several attempts (a name with several addresses) the first tells enough. */
function messageOf(error: unknown): string {
  if (error instanceof AggregateError && error.message === '') return messageOf(error.errors[0])
  const text = error instanceof Error ? error.message : String(error)
  return oneLine(text)
}

function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return ''
  return typeof error.code === 'string' ? error.code : ''
}

const TEXT_LENGTH_MAX = 300

/** Text of others made fit to be shown: short, one line, nothing that steers a terminal. */
export function oneLine(text: string): string {
  const printable = text.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\s]+/gu, ' ').trim()
  return printable.length <= TEXT_LENGTH_MAX ? printable : `${printable.slice(0, TEXT_LENGTH_MAX)}…`
}
