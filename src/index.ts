/** restic-ts: a restic-compatible backup engine. The public API; everything else is internal. */

export {
  AbortedError,
  BackendError,
  CorruptDataError,
  FileNotFoundError,
  InvalidInputError,
  LockLostError,
  NotFoundError,
  RepositoryDamagedError,
  RepositoryExistsError,
  RepositoryLockedError,
  RepositoryNotFoundError,
  ResticError,
  SnapshotNotFoundError,
  SourceError,
  UnsupportedError,
  WrongPasswordError,
  type ErrorCode,
} from './errors.ts'

export type { Backend, ByteRange, FileInfo, FileType, Handle } from './backend/backend.ts'
export { LocalBackend } from './backend/local.ts'
export {
  cacheBase,
  cacheSize,
  isOldCache,
  listCaches,
  removeCache,
  type CacheInfo,
} from './backend/cache-directory.ts'
export { displayLocation, isRemote, openBackend, type OpenBackendOptions } from './backend/location.ts'
export { MemoryBackend } from './backend/memory.ts'
export { withCache, type CacheSettings, type OpenedCache } from './backend/with-cache.ts'

export type { CryptoProvider, ScryptParams } from './crypto/provider.ts'
export { nativeCrypto } from './crypto/native.ts'

export { encodeConfig, type Config } from './repo/format/config-file.ts'
export { quoteName } from './repo/format/go-quote.ts'
export { isId, parseId, shortId, type Id } from './repo/format/id.ts'
export { encodeKeyFile, encodeMasterKey, type KeyFile } from './repo/format/key-file.ts'
export { isPrintableRune } from './repo/format/printable-runes.ts'
export { decodeRawName } from './repo/format/raw-name.ts'
export { encodeSnapshot, type Snapshot, type SnapshotSummary } from './repo/format/snapshot.ts'
export {
  compareTimes,
  formatTime,
  localTime,
  timeFromDate,
  timeToDate,
  type Time,
} from './repo/format/time.ts'
export type { ExtendedAttribute, Node, NodeType } from './repo/format/tree.ts'
export type { BlobType, PackedBlob } from './repo/format/pack-header.ts'

export type { CompressionMode } from './repo/compression.ts'
export { addKey, listKeys, openKey, removeKey, type KeyInfo, type NewKey } from './repo/keys.ts'
export { readLocked, removeLocks, type Lock } from './repo/locks.ts'
export {
  Repository,
  type CreateOptions,
  type Notice,
  type OpenOptions,
  type RepositorySettings,
} from './repo/repository.ts'

export {
  backup,
  backupToAll,
  type BackupOptions,
  type BackupProgress,
  type BackupResult,
  type BackupStream,
  type RepositoryBackup,
} from './repo/ops/backup.ts'
export type { ArchivedItem } from './repo/ops/archiver.ts'
export { copy, type CopyOptions, type CopyPlan, type CopyResult } from './repo/ops/copy.ts'
export { check, type CheckOptions, type CheckProgress, type CheckResult } from './repo/ops/check.ts'
export type { CheckError, CheckHint } from './repo/ops/check-report.ts'
export { parseReadDataSubset, type ReadDataSubset } from './repo/ops/check-subset.ts'
export { parseDuration, type Duration } from './repo/ops/duration.ts'
export { expandGlob, parseTargetLines, parseTargetPatterns, parseTargetsRaw } from './repo/ops/files-from.ts'
export {
  forget,
  type ForgetDecision,
  type ForgetGroup,
  type ForgetOptions,
  type ForgetResult,
} from './repo/ops/forget.ts'
export { nativePath } from './repo/ops/native-path.ts'
export type { ItemError } from './repo/ops/operation.ts'
export { parsePatternFile } from './repo/ops/patterns-file.ts'
export {
  prune,
  type PruneOptions,
  type PrunePhase,
  type PruneProgress,
  type PruneResult,
} from './repo/ops/prune.ts'
export { parseByteSize, parseMaxUnused, type MaxUnused } from './repo/ops/prune-limits.ts'
export type { PrunePlan, PruneStats } from './repo/ops/prune-plan.ts'
export { restore } from './repo/ops/restore.ts'
export type {
  RestoredItem,
  RestoreOptions,
  RestoreProgress,
  RestoreResult,
} from './repo/ops/restore-options.ts'
export type { OverwriteMode } from './repo/ops/restore-verdict.ts'
export { describePolicy, isEmptyPolicy, parseKeepCount, type KeepPolicy } from './repo/ops/retention.ts'
export {
  groupSnapshots,
  latestPerGroup,
  parseGroupBy,
  type GroupBy,
  type SnapshotGroup,
  type SnapshotGroupKey,
} from './repo/ops/snapshot-groups.ts'
export {
  findSnapshot,
  findSnapshots,
  loadSnapshots,
  matchesFilter,
  parseTagList,
  type SnapshotFilter,
  type SnapshotRecord,
} from './repo/ops/snapshots.ts'
