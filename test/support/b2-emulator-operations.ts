/** B2's JSON calls on the store: what each costs, which capability it wants, what it answers in API v1 to v4 (B2 spec §2). */
import {
  B2Problem,
  checkFileName,
  compareNames,
  type B2Store,
  type Bucket,
  type EmulatedKey,
  type Version,
} from './b2-emulator-store.ts'

/** Free, per 10,000, per 1,000 (B2 spec §3). */
export type CostClass = 'A' | 'B' | 'C'

/** Where clients are sent for each kind of call. */
export interface BaseUrls {
  readonly api: string
  readonly download: string
  readonly upload: string
}

export interface CallContext {
  readonly store: B2Store
  readonly key: EmulatedKey
  readonly apiVersion: number
  readonly base: BaseUrls
  readonly body: Readonly<Record<string, unknown>>
}

export interface Operation {
  readonly costClass: CostClass
  readonly capability: string
  readonly run: (context: CallContext) => Record<string, unknown>
}

const DEFAULT_PAGE = 100
export const PAGE_MAX = 10_000

/** @throws B2Problem where the key may not use this bucket or name */
export function checkScope(key: EmulatedKey, bucket: Bucket, name?: string): void {
  const isOtherBucket = key.buckets !== undefined && !key.buckets.includes(bucket.name)
  const isOtherName = name !== undefined && !name.startsWith(key.namePrefix ?? '')
  if (isOtherBucket || isOtherName) throw new B2Problem(401, 'unauthorized', 'unauthorized')
}

export function describeVersion(
  { store, apiVersion }: Pick<CallContext, 'store' | 'apiVersion'>,
  bucket: Bucket,
  version: Version,
): Record<string, unknown> {
  const length = version.bytes.length
  return {
    accountId: store.accountId,
    action: version.action,
    bucketId: bucket.id,
    contentLength: length,
    contentMd5: null,
    contentSha1: version.action === 'upload' ? version.sha1 : null,
    contentType: version.contentType,
    fileId: version.id,
    fileInfo: version.info,
    fileName: version.name,
    fileRetention: { isClientAuthorizedToRead: false, value: null },
    legalHold: { isClientAuthorizedToRead: false, value: null },
    serverSideEncryption: { algorithm: null, mode: null },
    uploadTimestamp: version.timestamp,
    ...(apiVersion === 1 ? { size: length } : {}),
  }
}

/** The answer of b2_authorize_account, which is another one in each version. */
export function describeAccount(
  store: B2Store,
  { key, token }: { readonly key: EmulatedKey; readonly token: string },
  { apiVersion, base }: Pick<CallContext, 'apiVersion' | 'base'>,
): Record<string, unknown> {
  const { accountId } = store
  const sizes = { absoluteMinimumPartSize: store.minimumPartSize, recommendedPartSize: 100_000_000 }
  const urls = { apiUrl: base.api, downloadUrl: base.download, s3ApiUrl: 'https://s3.example.invalid' }
  const buckets = key.buckets?.map((name) => ({ id: store.buckets.get(name)?.id ?? 'gone', name })) ?? null
  const [capabilities, namePrefix] = [key.capabilities, key.namePrefix ?? null]
  if (apiVersion >= 4) {
    const storageApi = {
      ...sizes,
      ...urls,
      infoType: 'storageApi',
      allowed: { buckets, capabilities, namePrefix },
    }
    return {
      accountId,
      authorizationToken: token,
      apiInfo: { storageApi },
      applicationKeyExpirationTimestamp: null,
    }
  }
  if (buckets !== null && buckets.length > 1)
    throw new B2Problem(401, 'unauthorized', 'multi-bucket keys need b2api/v4')
  const bucketId = buckets?.[0]?.id ?? null
  const bucketName = buckets?.[0]?.name ?? null
  const limits = { bucketId, bucketName, capabilities, namePrefix }
  if (apiVersion === 3) {
    const storageApi = { ...sizes, ...urls, infoType: 'storageApi', ...limits }
    return { accountId, authorizationToken: token, apiInfo: { storageApi } }
  }
  const minimum = apiVersion === 1 ? { minimumPartSize: sizes.recommendedPartSize } : {}
  return { accountId, authorizationToken: token, ...sizes, ...minimum, ...urls, allowed: limits }
}

function describeBucket(store: B2Store, { id, name, type }: Bucket): Record<string, unknown> {
  return {
    accountId: store.accountId,
    bucketId: id,
    bucketInfo: {},
    bucketName: name,
    bucketType: type,
    corsRules: [],
    lifecycleRules: [],
    options: [],
    revision: 1,
  }
}

function text(body: CallContext['body'], field: string): string {
  const value = body[field]
  if (typeof value !== 'string' || value === '')
    throw new B2Problem(400, 'bad_request', `required field ${field} is missing`)
  return value
}

/** The bucket of `bucketId`, in the key's scope, as a listing with this prefix or a call for this name needs it. */
function bucketOf({ store, key, body }: CallContext, name?: string): Bucket {
  const bucket = store.bucketById(text(body, 'bucketId'))
  checkScope(key, bucket, name)
  return bucket
}

function listBuckets({ store, key, body }: CallContext): Record<string, unknown> {
  const [name, id] = [body['bucketName'], body['bucketId']]
  const isNamed = (bucket: Bucket): boolean => bucket.name === name || bucket.id === id
  const isAny = typeof name !== 'string' && typeof id !== 'string'
  if (key.buckets !== undefined) {
    const allowed = key.buckets.map((known) => store.buckets.get(known))
    const isAllowed = allowed.some((bucket) => bucket !== undefined && isNamed(bucket))
    if (isAny || !isAllowed) throw new B2Problem(401, 'unauthorized', '')
  }
  const found = Array.from(store.buckets.values()).filter((bucket) => isAny || isNamed(bucket))
  return { buckets: found.map((bucket) => describeBucket(store, bucket)) }
}

function pageSize(body: CallContext['body']): number {
  const wanted = Number(body['maxFileCount'] ?? DEFAULT_PAGE)
  if (!(wanted >= 1 && wanted <= PAGE_MAX))
    throw new B2Problem(400, 'bad_request', 'maxFileCount out of range')
  return wanted
}

function* listedNames(bucket: Bucket, prefix: string, start: string): Generator<string> {
  const names = Array.from(bucket.files.keys()).filter((name) => name.startsWith(prefix))
  for (const name of names.toSorted(compareNames)) if (compareNames(name, start) >= 0) yield name
}

/** The folder a name is shown as, when there is a delimiter after the prefix. */
function folderOf(name: string, prefix: string, delimiter: unknown): string | undefined {
  if (typeof delimiter !== 'string' || delimiter === '') return undefined
  const end = name.indexOf(delimiter, prefix.length)
  return end < 0 ? undefined : name.slice(0, end + delimiter.length)
}

interface Row {
  readonly name: string
  readonly id: string | null
  readonly shown: Record<string, unknown>
}

function* rows(context: CallContext, bucket: Bucket, versionsToo: boolean): Generator<Row> {
  const { body, store } = context
  const prefix = typeof body['prefix'] === 'string' ? body['prefix'] : ''
  const start = typeof body['startFileName'] === 'string' ? body['startFileName'] : ''
  let lastFolder: string | undefined
  for (const name of listedNames(bucket, prefix, start)) {
    const folder = folderOf(name, prefix, body['delimiter'])
    const visible = store.visible(bucket, name)
    const versions = versionsToo ? (bucket.files.get(name) ?? []) : visible === undefined ? [] : [visible]
    if (folder !== undefined) {
      if (folder === lastFolder || versions.length === 0) continue
      lastFolder = folder
      const shown = { action: 'folder', contentLength: 0, fileId: null, fileName: folder, uploadTimestamp: 0 }
      yield { name: folder, id: null, shown }
    } else {
      for (const version of versions)
        yield { name, id: version.id, shown: describeVersion(context, bucket, version) }
    }
  }
}

function list(context: CallContext, versionsToo: boolean): Record<string, unknown> {
  const { key, body } = context
  const prefix = typeof body['prefix'] === 'string' ? body['prefix'] : ''
  if (!prefix.startsWith(key.namePrefix ?? '')) throw new B2Problem(401, 'unauthorized', '')
  const bucket = bucketOf(context)
  const count = pageSize(body)
  const [startName, startId] = [body['startFileName'], versionsToo ? body['startFileId'] : undefined]
  const files: Record<string, unknown>[] = []
  let isReached = typeof startId !== 'string' || startId === ''
  for (const row of rows(context, bucket, versionsToo)) {
    isReached ||= row.id === startId || row.name !== startName
    if (!isReached) continue
    if (files.length === count) {
      const next = { nextFileName: row.name, ...(versionsToo ? { nextFileId: row.id } : {}) }
      return { files, ...next }
    }
    files.push(row.shown)
  }
  return { files, nextFileName: null, ...(versionsToo ? { nextFileId: null } : {}) }
}

function hide(context: CallContext): Record<string, unknown> {
  const name = text(context.body, 'fileName')
  const bucket = bucketOf(context, name)
  return describeVersion(context, bucket, context.store.hide(bucket, name))
}

function deleteVersion({ store, key, body }: CallContext): Record<string, unknown> {
  const [name, id] = [text(body, 'fileName'), text(body, 'fileId')]
  const bucket = Array.from(store.buckets.values()).find(({ files }) => files.has(name))
  if (bucket !== undefined) checkScope(key, bucket, name)
  store.deleteVersion(name, id)
  return { fileId: id, fileName: name }
}

function getFileInfo(context: CallContext): Record<string, unknown> {
  const { bucket, version } = context.store.versionById(text(context.body, 'fileId'))
  checkScope(context.key, bucket, version.name)
  return describeVersion(context, bucket, version)
}

function getUploadUrl(context: CallContext): Record<string, unknown> {
  const { store, base, apiVersion } = context
  const bucket = bucketOf(context)
  const { token, path } = store.makeUploadTarget(bucket)
  return {
    authorizationToken: token,
    bucketId: bucket.id,
    uploadUrl: `${base.upload}/b2api/v${apiVersion}/${path}`,
  }
}

function stringRecord(value: unknown): Record<string, string> {
  return typeof value === 'object' && value !== null ? { ...value } : {}
}

function startLargeFile(context: CallContext): Record<string, unknown> {
  const { store, body } = context
  const name = text(body, 'fileName')
  const bucket = bucketOf(context, name)
  const fields = { contentType: text(body, 'contentType'), info: stringRecord(body['fileInfo']) }
  return describeVersion(context, bucket, store.startLargeFile(bucket, name, fields))
}

function getUploadPartUrl({ store, base, body, apiVersion }: CallContext): Record<string, unknown> {
  const file = store.largeFile(body['fileId'])
  const { token, path } = store.makeUploadTarget(file.bucket, file)
  return {
    authorizationToken: token,
    fileId: file.id,
    uploadUrl: `${base.upload}/b2api/v${apiVersion}/${path}`,
  }
}

function finishLargeFile(context: CallContext): Record<string, unknown> {
  const { store, body } = context
  const file = store.largeFile(body['fileId'])
  const sha1s = Array.isArray(body['partSha1Array']) ? body['partSha1Array'].map(String) : []
  return describeVersion(context, file.bucket, store.finishLargeFile(file, sha1s))
}

function cancelLargeFile({ store, body }: CallContext): Record<string, unknown> {
  const file = store.largeFile(body['fileId'])
  store.largeFiles.delete(file.id)
  store.deleteVersion(file.name, file.id)
  return { accountId: store.accountId, bucketId: file.bucket.id, fileId: file.id, fileName: file.name }
}

function listUnfinished(context: CallContext): Record<string, unknown> {
  const bucket = bucketOf(context)
  const files = Array.from(context.store.largeFiles.values()).filter((file) => file.bucket === bucket)
  return { files: files.map(({ id, name }) => ({ fileId: id, fileName: name })), nextFileId: null }
}

function createBucket({ store, key, body }: CallContext): Record<string, unknown> {
  if (key.buckets !== undefined) throw new B2Problem(401, 'unauthorized', '')
  return describeBucket(store, store.createBucket(text(body, 'bucketName'), text(body, 'bucketType')))
}

function deleteBucket(context: CallContext): Record<string, unknown> {
  const bucket = bucketOf(context)
  if (bucket.files.size > 0) throw new B2Problem(400, 'cannot_delete_non_empty_bucket', 'Bucket is not empty')
  context.store.buckets.delete(bucket.name)
  return describeBucket(context.store, bucket)
}

/** b2_upload_file, b2_upload_part, downloads and b2_authorize_account are the server's own. */
export const OPERATIONS: Readonly<Record<string, Operation>> = {
  b2_list_buckets: { costClass: 'C', capability: 'listBuckets', run: listBuckets },
  b2_create_bucket: { costClass: 'C', capability: 'writeBuckets', run: createBucket },
  b2_delete_bucket: { costClass: 'A', capability: 'deleteBuckets', run: deleteBucket },
  b2_list_file_names: { costClass: 'C', capability: 'listFiles', run: (context) => list(context, false) },
  b2_list_file_versions: { costClass: 'C', capability: 'listFiles', run: (context) => list(context, true) },
  b2_get_file_info: { costClass: 'B', capability: 'readFiles', run: getFileInfo },
  b2_get_upload_url: { costClass: 'A', capability: 'writeFiles', run: getUploadUrl },
  b2_hide_file: { costClass: 'A', capability: 'writeFiles', run: hide },
  b2_delete_file_version: { costClass: 'A', capability: 'deleteFiles', run: deleteVersion },
  b2_start_large_file: { costClass: 'A', capability: 'writeFiles', run: startLargeFile },
  b2_get_upload_part_url: { costClass: 'A', capability: 'writeFiles', run: getUploadPartUrl },
  b2_finish_large_file: { costClass: 'A', capability: 'writeFiles', run: finishLargeFile },
  b2_cancel_large_file: { costClass: 'A', capability: 'writeFiles', run: cancelLargeFile },
  b2_list_unfinished_large_files: { costClass: 'C', capability: 'listFiles', run: listUnfinished },
}

/** The upload of one whole file: name rules and the three ways to give its SHA-1. */
export function checkedUpload(
  name: string,
  sent: Buffer,
  given: string | undefined,
): { readonly bytes: Buffer; readonly sha1: string; readonly isVerified: boolean } {
  checkFileName(name)
  if (given === undefined) throw new B2Problem(400, 'bad_request', 'Missing header: X-Bz-Content-Sha1')
  if (given === 'do_not_verify') return { bytes: sent, sha1: '', isVerified: false }
  const isAtEnd = given === 'hex_digits_at_end'
  const bytes = isAtEnd ? sent.subarray(0, Math.max(0, sent.length - 40)) : sent
  return { bytes, sha1: isAtEnd ? sent.subarray(bytes.length).toString('latin1') : given, isVerified: true }
}
