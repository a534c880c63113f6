import { describe, expect, it } from 'vitest'
import { B2Error, codeOf, retryAfterMsOf, safeMessage, toBackendError } from '../../src/backend/b2-errors.ts'

describe('what is shown of a message', () => {
  it.each([
    ['Application key K0012ab34cd56ef78gh90ij12kl34mn5 is bad', 'Application key *** is bad'],
    ['token 4_0022623512fc8f80000000001_0186e431_d18d02_acct_tH7VW03=: no', 'token ***: no'],
    ['Basic MDAxMTIyMzM0NDU1NjY3Nzg4OTkwMDAwMQ==', 'Basic ***'],
    ['transaction_cap_exceeded_for_today', 'transaction_cap_exceeded_for_today'],
    [
      'getaddrinfo ENOTFOUND pod-000-1000-01.backblaze.com',
      'getaddrinfo ENOTFOUND pod-000-1000-01.backblaze.com',
    ],
    ['the short secret', 'the *** secret'],
    ['a\u001b[31mb\r\nc\u202ed\u0000', 'a [31mb c d'],
    ['x '.repeat(300), `${'x '.repeat(99)}x `],
  ])('%j', (text, shown) => {
    expect(safeMessage(text, ['short'])).toBe(shown)
  })
})

it.each([
  ['bad_request', 'bad_request'],
  ['Not A Code', undefined],
  ['a'.repeat(65), undefined],
  [400, undefined],
  [undefined, undefined],
])('takes %j for the code %j', (value, code) => {
  expect(codeOf(value)).toBe(code)
})

it.each([
  ['7', 7000],
  ['0', 0],
  ['Wed, 21 Oct 2015 07:28:00 GMT', undefined],
  ['-1', undefined],
  ['1e9', undefined],
  [undefined, undefined],
])('reads Retry-After %j as %j', (header, ms) => {
  expect(retryAfterMsOf(header)).toBe(ms)
})

it('says in one line what was refused', () => {
  const facts = { operation: 'b2_upload_file', status: 403, code: 'cap_exceeded', message: 'Cap exceeded.' }
  const error = toBackendError(new B2Error('cap', facts), 'write repo/config')
  expect(error.message).toBe(
    'write repo/config: a cap of the Backblaze account is reached: 403 cap_exceeded: Cap exceeded.',
  )
  expect(error.transient).toBe(false)
})

it('does not say twice what broke the connection', () => {
  const facts = {
    operation: 'b2_list_buckets',
    code: 'ECONNREFUSED',
    message: 'connect ECONNREFUSED 127.0.0.1:1',
  }
  const error = toBackendError(new B2Error('network', facts), 'list repo/keys/')
  expect(error.message).toBe('list repo/keys/: connect ECONNREFUSED 127.0.0.1:1')
  expect(error.transient).toBe(true)
})
