import { describe, expect, it } from 'vitest'
import { isSafeUrl, parseB2Location, parseB2Settings } from '../../src/backend/b2-location.ts'
import { openBackend } from '../../src/backend/location.ts'
import { InvalidInputError } from '../../src/errors.ts'

const ENV = { B2_ACCOUNT_ID: 'id', B2_ACCOUNT_KEY: 'key' }

function failureOf(parse: () => unknown): InvalidInputError {
  try {
    parse()
  } catch (error) {
    if (error instanceof InvalidInputError) return error
  }
  throw new Error('was not refused')
}

describe('a location in B2', () => {
  it.each([
    ['bucket', 'bucket', ''],
    ['bucket:', 'bucket', ''],
    ['bucket:/', 'bucket', ''],
    ['bucket:.', 'bucket', ''],
    ['bucket:prefix', 'bucket', 'prefix'],
    ['bucket:/abs/pre/', 'bucket', 'abs/pre'],
    ['bucket:a//b/./c/../d', 'bucket', 'a/b/d'],
    ['bucket:with space:and colon', 'bucket', 'with space:and colon'],
    ['My-Bucket-1:ä/ö', 'My-Bucket-1', 'ä/ö'],
    [`${'b'.repeat(63)}:p`, 'b'.repeat(63), 'p'],
  ])('reads b2:%s as restic does', (rest, bucket, prefix) => {
    expect(parseB2Location(rest)).toEqual({ bucket, prefix })
  })

  it.each([
    ['', 'the bucket name is missing'],
    [':prefix', 'the bucket name is missing'],
    ['abcde', '6 to 63 characters, not 5'],
    ['b'.repeat(64), '6 to 63 characters, not 64'],
    ['under_score', 'letters a-z, digits and dashes'],
    ['my.bucket', 'letters a-z, digits and dashes'],
    ['bucket:../other', 'leads out of the bucket'],
    ['bucket:a\\b', 'does not allow in names'],
    ['bucket:a\nb', 'does not allow in names'],
    ['bucket:a\ud800b', 'does not allow in names'],
    [`bucket:${'a/'.repeat(451)}`, 'longer than 900 bytes'],
    [`bucket:${'ä'.repeat(126)}`, 'part longer than 250 bytes'],
  ])('refuses b2:%s', (rest, problem) => {
    expect(() => parseB2Location(rest)).toThrow(InvalidInputError)
    expect(() => parseB2Location(rest)).toThrow(problem)
  })

  it('says how a folder in a bucket is written', () => {
    const error = failureOf(() => parseB2Location('bucket/some/folder'))
    expect(error.hint).toContain('b2:bucket:some/folder')
  })
})

describe('the settings of B2', () => {
  it('come from the variables', () => {
    expect(parseB2Settings('bucket:p', { env: ENV, connections: undefined })).toEqual({
      bucket: 'bucket',
      prefix: 'p',
      keyId: 'id',
      key: 'key',
      connections: 5,
      endpoint: 'https://api.backblazeb2.com',
    })
    expect(parseB2Settings('bucket', { env: ENV, connections: 9 }).connections).toBe(9)
  })

  it.each(['B2_ACCOUNT_ID', 'B2_ACCOUNT_KEY'])('name %s where it is missing or empty', async (name) => {
    for (const value of [undefined, '']) {
      const opened = openBackend('b2:bucket', { env: { ...ENV, [name]: value } })
      await expect(opened).rejects.toThrow(`${name} is not set`)
    }
  })

  it.each([
    ['b2.connections', '0', '"0" is not a positive number'],
    ['b2.connections', 'many', '"many" is not a positive number'],
    ['b2.conections', '3', 'option b2.conections is not known'],
  ])('refuse -o %s=%s', async (option, value, problem) => {
    const opened = openBackend('b2:bucket', { env: ENV, options: { [option]: value } })
    await expect(opened).rejects.toThrow(problem)
  })

  it('take the connections of b2 only', async () => {
    const options = { 'b2.connections': '7', 's3.connections': 'many' }
    const backend = await openBackend('b2:bucket:p', { env: ENV, options })
    expect(backend).toMatchObject({ connections: 7, location: 'b2:bucket:p', hasAtomicReplace: true })
    await backend.close()
  })

  it('take another endpoint, but none that secrets would go to in the clear', () => {
    const endpointOf = (text: string): string =>
      parseB2Settings('bucket', { env: { ...ENV, B2_TEST_ENDPOINT: text }, connections: undefined }).endpoint
    expect(endpointOf('http://127.0.0.1:8080/')).toBe('http://127.0.0.1:8080')
    expect(() => endpointOf('http://example.com')).toThrow(InvalidInputError)
    expect(() => endpointOf('nonsense')).toThrow(InvalidInputError)
  })
})

it.each([
  ['https://api001.backblazeb2.com', true],
  ['http://localhost:80/x', true],
  ['http://127.1.2.3/', true],
  ['http://[::1]:9/', true],
  ['http://127.0.0.1.example.com/', false],
  ['http://api001.backblazeb2.com', false],
  ['ftp://localhost/', false],
  ['file:///etc/passwd', false],
  ['', false],
])('trusts %s with tokens: %s', (url, isSafe) => {
  expect(isSafeUrl(url)).toBe(isSafe)
})
