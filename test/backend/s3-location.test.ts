import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { openBackend } from '../../src/backend/location.ts'
import {
  endpointIn,
  parseS3Location,
  parseS3Settings,
  type S3Settings,
} from '../../src/backend/s3-location.ts'
import { InvalidInputError, UnsupportedError } from '../../src/errors.ts'

const settings = (
  rest: string,
  options: Readonly<Record<string, string>> = {},
  env: Readonly<Record<string, string>> = {},
): S3Settings => parseS3Settings(rest, { options, env })

describe('an s3: location', () => {
  it.each([
    ['hostname.foo/foobar', 'https://hostname.foo', 'foobar', ''],
    ['hostname.foo/foobar/', 'https://hostname.foo', 'foobar', ''],
    ['hostname.foo/foobar/prefix/directory', 'https://hostname.foo', 'foobar', 'prefix/directory'],
    ['//hostname.foo/foobar/prefix/directory/', 'https://hostname.foo', 'foobar', 'prefix/directory'],
    ['https://hostname:9999/foobar', 'https://hostname:9999', 'foobar', ''],
    ['http://hostname:9999/foobar/', 'http://hostname:9999', 'foobar', ''],
    ['http://hostname:9999/bucket/a//b/../c/', 'http://hostname:9999', 'bucket', 'a/c'],
    ['http://[::1]:9000/bucket', 'http://[::1]:9000', 'bucket', ''],
    ['hostname:9000/bucket', 'https://hostname:9000', 'bucket', ''],
    ['eu-central-1/foobar', 'https://s3.eu-central-1.amazonaws.com', 'foobar', ''],
    ['hostname.foo/bucket//prefix', 'https://hostname.foo', 'bucket', '/prefix'],
  ])('%s has its endpoint, bucket and prefix', (text, endpoint, bucket, prefix) => {
    const location = parseS3Location(text)
    expect(location.endpoint.origin).toBe(endpoint)
    expect(location).toMatchObject({ bucket, prefix })
  })

  it.each([
    '',
    '/',
    '//',
    '///bucket/prefix',
    'host',
    'host/',
    'https://host',
    'https:///bucket',
    'http:bucket',
    'host/a',
    'host/b$cket',
    'host/bucket/../..',
    'host/bucket/a\nb',
    'https://KEY:secret@host/bucket',
    'host?x/bucket',
    'ho st/bucket',
  ])('%j is refused', (text) => {
    const parse = (): unknown => parseS3Location(text)
    expect(parse).toThrow(InvalidInputError)
    expect(parse).not.toThrow(/secret/)
  })
})

describe('the region', () => {
  it.each([
    ['s3.amazonaws.com/bucket', {}, {}, 'us-east-1'],
    ['s3.eu-central-1.amazonaws.com/bucket', {}, {}, 'eu-central-1'],
    ['s3-eu-west-1.amazonaws.com/bucket', {}, {}, 'eu-west-1'],
    ['s3.dualstack.us-west-2.amazonaws.com/bucket', {}, {}, 'us-west-2'],
    ['s3.cn-north-1.amazonaws.com.cn/bucket', {}, {}, 'cn-north-1'],
    ['s3.us-west-004.backblazeb2.com/bucket', {}, {}, 'us-west-004'],
    ['s3.us-west-004.backblazeb2.com/bucket', {}, { AWS_DEFAULT_REGION: 'eu-west-1' }, 'us-west-004'],
    ['s3.eu-central-2.wasabisys.com/bucket', {}, {}, 'eu-central-2'],
    ['minio.example.org/bucket', {}, {}, 'us-east-1'],
    ['minio.example.org/bucket', {}, { AWS_DEFAULT_REGION: 'a-b-1', AWS_REGION: 'c-d-1' }, 'a-b-1'],
    ['minio.example.org/bucket', {}, { AWS_REGION: 'c-d-1' }, 'c-d-1'],
    ['s3.us-west-004.backblazeb2.com/bucket', { 's3.region': 'mine' }, {}, 'mine'],
  ])('of %s with %j and %j is found', (text, options, env, region) => {
    expect(settings(text, options as Record<string, string>, env as Record<string, string>).region).toBe(
      region,
    )
  })

  it.each([
    ['s3.amazonaws.com/bucket', 'https://s3.eu-west-1.amazonaws.com'],
    ['s3.eu-central-1.amazonaws.com/bucket', 'https://s3.eu-west-1.amazonaws.com'],
    ['s3.dualstack.us-west-2.amazonaws.com/bucket', 'https://s3.dualstack.eu-west-1.amazonaws.com'],
    ['minio.example.org/bucket', 'https://minio.example.org'],
  ])('of %s has an endpoint', (text, endpoint) => {
    expect(endpointIn(parseS3Location(text), 'eu-west-1').origin).toBe(endpoint)
  })
})

describe('the bucket stands', () => {
  it.each([
    ['s3.amazonaws.com/bucket', undefined, false],
    ['s3.amazonaws.com/dotted.bucket', undefined, true],
    ['s3.us-west-004.backblazeb2.com/bucket', undefined, true],
    ['s3.amazonaws.com/bucket', 'path', true],
    ['minio.example.org/bucket', 'dns', false],
    ['minio.example.org/bucket', 'auto', true],
    ['minio.example.org/bucket', '', true],
  ])('of %s with lookup %s in the path: %s', (text, lookup, isPathStyle) => {
    const options = lookup === undefined ? {} : { 's3.bucket-lookup': lookup }
    expect(settings(text, options as Record<string, string>).isPathStyle).toBe(isPathStyle)
  })
})

describe('the keys', () => {
  it.each([
    [{}, undefined],
    [
      { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' },
      { accessKeyId: 'a', secretAccessKey: 'b' },
    ],
    [
      { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b', AWS_SESSION_TOKEN: 'c' },
      { accessKeyId: 'a', secretAccessKey: 'b', sessionToken: 'c' },
    ],
    [
      { MINIO_ACCESS_KEY: 'a', MINIO_SECRET_KEY: 'b' },
      { accessKeyId: 'a', secretAccessKey: 'b' },
    ],
  ])('of %j are found', (env, credentials) => {
    expect(settings('host/bucket', {}, env as Record<string, string>).credentials).toEqual(credentials)
  })

  it.each([{ AWS_ACCESS_KEY_ID: 'a' }, { AWS_SECRET_ACCESS_KEY: 'hunter2' }])(
    'of %j are not enough',
    (env) => {
      const parse = (): unknown => settings('host/bucket', {}, env)
      expect(parse).toThrow(InvalidInputError)
      expect(parse).not.toThrow(/hunter2/)
    },
  )

  it('are not wanted where nobody is to know us', () => {
    const env = { AWS_ACCESS_KEY_ID: 'a', AWS_SECRET_ACCESS_KEY: 'b' }
    expect(settings('host/bucket', { 's3.unsafe-anonymous-auth': 'true' }, env).credentials).toBe('anonymous')
  })

  it('are shown to nobody', async () => {
    const env = { AWS_ACCESS_KEY_ID: 'KEYID', AWS_SECRET_ACCESS_KEY: 'hunter2' }
    const backend = await openBackend('s3:https://127.0.0.1:1/bucket', { env })
    expect(inspect(backend, { depth: 20, showHidden: true })).not.toContain('hunter2')
    await backend.close()
  })
})

describe('an option', () => {
  it.each([
    ['s3.bucket-lookup', 'virtual'],
    ['s3.list-objects-v1', 'maybe'],
    ['s3.retries', 'many'],
    ['s3.conections', '3'],
  ])('%s=%s is refused', (name, value) => {
    expect(() => settings('host/bucket', { [name]: value })).toThrow(InvalidInputError)
    expect(() => settings('host/bucket', { [name]: value })).toThrow(name)
  })

  it.each([
    ['s3.enable-restore', 'true'],
    ['s3.layout', 's3legacy'],
  ])('%s=%s is not supported, and we say so', (name, value) => {
    expect(() => settings('host/bucket', { [name]: value })).toThrow(UnsupportedError)
  })

  it('of another store is none of our business', () => {
    expect(settings('host/bucket', { 'b2.connections': '7' }).bucket).toBe('bucket')
  })

  it('says how often and how', () => {
    const options = { 's3.retries': '7', 's3.list-objects-v1': '', 's3.storage-class': 'STANDARD_IA' }
    expect(settings('host/bucket', options)).toMatchObject({
      attempts: 7,
      usesListV1: true,
      storageClass: 'STANDARD_IA',
    })
  })
})
