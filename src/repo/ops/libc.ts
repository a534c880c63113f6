/**
 * What Node lacks of the C library: extended attributes, device files, nanosecond times, names of users and groups.
 * Loaded at first need through koffi; where that fails (another system, no prebuilt binary) callers degrade.
 * All paths are raw bytes.
 */
import { constants, fstatSync } from 'node:fs'
import { createRequire } from 'node:module'
import { decodeRawName, encodeRawName, isWellFormedName } from '../format/raw-name.ts'
import { fileStatOf, type FileStat, type FileTime } from './file-stat.ts'

/** A system call that failed, as Node's own errors look. */
export class SystemCallError extends Error {
  readonly code: string
  readonly errno: number
  readonly syscall: string
  readonly path: string

  constructor(syscall: string, path: string, failure: { readonly code: string; readonly errno: number }) {
    super(`${failure.code}: ${syscall} '${path}'`)
    this.name = 'SystemCallError'
    this.syscall = syscall
    this.path = path
    this.code = failure.code
    this.errno = failure.errno
  }
}

/** What a call is about: a path, or the number of an open file, which spares the system the way there. */
export type Entry = string | number

/** Symlinks are never followed by any of these. Each throws SystemCallError. */
export interface Libc {
  /** Undefined where the call fails or there is none: then Node's own says why, or does it. */
  lstat(path: string): FileStat | undefined
  /** As `lstat`, of an open file. */
  fstat(fd: number): FileStat | undefined
  /** As `lstat`, of a name in an open folder, to which the system need not find the way each time. */
  lstatIn(folder: number, name: string): FileStat | undefined
  /** Whether an open file is what was seen; undefined as `lstat`. */
  isSame(fd: number, seen: FileStat): boolean | undefined
  /** Opens a folder for `lstatIn` and `openIn`, and a file in it to be read; -1 where that fails. To be closed by `close`. */
  openFolder(path: string): number
  openIn(folder: number, name: string): number
  close(fd: number): void
  /** Whether `readEntries` can be called. */
  readonly readsEntries: boolean
  /** The next entries of an open folder, as `struct linux_dirent64`: the bytes filled, 0 at the end. */
  readEntries(folder: number, target: Uint8Array): number
  /** As `openFolder` for `createIn` and `setTimesIn`, which do not take permission to list it. */
  findFolder(path: string): number
  /** Makes a file, to be read and written by nobody else, where nothing stands; -1 where that fails. To be closed by `close`. */
  createIn(folder: number, name: string): number
  /** False where that fails. */
  setTimesIn(folder: number, name: string, atime: FileTime, mtime: FileTime): boolean
  /** Names of the extended attributes, in the order the system lists them. */
  listXattrs(entry: Entry): string[]
  getXattr(entry: Entry, name: string): Uint8Array
  setXattr(entry: Entry, name: string, value: Uint8Array): void
  removeXattr(entry: Entry, name: string): void
  /** Makes a device, fifo or socket; `mode` with file type bits. */
  makeNode(path: string, mode: number, device: bigint): void
  setTimes(path: string, atime: FileTime, mtime: FileTime): void
  /** Gives a new file its size and room on the disk for all of it: it reads as zeros, as if they had been written. */
  reserve(fd: number, sizeBytes: number): void
  userName(uid: number): string | undefined
  groupName(gid: number): string | undefined
  userId(name: string): number | undefined
  groupId(name: string): number | undefined
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const O_PATH = 0o10000000
const O_NOATIME = 0o1000000
const O_CLOEXEC = 0o2000000
const AT_FDCWD = -100
const AT_SYMLINK_NOFOLLOW = 0x100
const AT_NO_AUTOMOUNT = 0x800
const AT_EMPTY_PATH = 0x1000
const STATX_BASIC_STATS = 0x7ff
const STATX_BYTES = 256
const EPERM = 1
const ERANGE = 34
const LIST_BYTES = 4096
const VALUE_BYTES = 4096
const ENTRY_BYTES = 16384
/** glibc, then musl by its own name. */
const LIBRARIES = [
  'libc.so.6',
  'libc.so',
  `libc.musl-${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}.so.1`,
]

interface Koffi {
  load(path: string): { func(declaration: string): (...args: unknown[]) => unknown }
  struct(name: string, fields: Record<string, string>): unknown
  errno(): number
  os: { readonly errno: Record<string, number> }
}

let loaded: Libc | undefined | null = null

/** The C library, or undefined where it cannot be reached. Asked for once per thread. */
export function loadLibc(): Libc | undefined {
  if (loaded === null) loaded = tryLoad()
  return loaded
}

/** What an open file is. @throws what the system says */
export function statOfOpen(fd: number): FileStat {
  return loadLibc()?.fstat(fd) ?? fileStatOf(fstatSync(fd, { bigint: true }))
}

function tryLoad(): Libc | undefined {
  if (process.platform !== 'linux') return undefined
  try {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- koffi's own functions
    const koffi = createRequire(import.meta.url)('koffi') as Koffi
    for (const name of LIBRARIES) {
      try {
        return new LinuxLibc(koffi, koffi.load(name))
      } catch {
        continue // the next name, or none
      }
    }
  } catch {
    // koffi has no binary for this machine
  }
  return undefined
}

type NativeFunction = (...args: unknown[]) => number

/** Two functions that do the same. */
interface ForEntry {
  readonly path: NativeFunction
  readonly file: NativeFunction
}

interface AccountEntry {
  name?: string | null
  id?: number
}

class LinuxLibc implements Libc {
  readonly #koffi: Koffi
  readonly #statx: NativeFunction | undefined
  readonly #codes: ReadonlyMap<number, string>
  readonly #listxattr: ForEntry
  readonly #getxattr: ForEntry
  readonly #setxattr: ForEntry
  readonly #removexattr: ForEntry
  readonly #mknod: NativeFunction
  readonly #utimensat: NativeFunction
  readonly #fallocate: NativeFunction
  readonly #openat: NativeFunction
  readonly #createat: NativeFunction
  readonly #close: NativeFunction
  readonly #getdents: NativeFunction | undefined
  readonly #getpwuid: NativeFunction
  readonly #getgrgid: NativeFunction
  readonly #getpwnam: NativeFunction
  readonly #getgrnam: NativeFunction
  readonly #stat = new DataView(new ArrayBuffer(STATX_BYTES))
  readonly #statBytes = new Uint8Array(this.#stat.buffer)
  /** Two `struct timespec`. */
  readonly #times = new DataView(new ArrayBuffer(32))
  readonly #timesBytes = new Uint8Array(this.#times.buffer)
  readonly #list = Buffer.alloc(LIST_BYTES)
  readonly #entry = Buffer.alloc(ENTRY_BYTES)
  readonly #found = Buffer.alloc(8)

  constructor(koffi: Koffi, library: ReturnType<Koffi['load']>) {
    this.#koffi = koffi
    this.#codes = new Map(Object.entries(koffi.os.errno).map(([code, errno]) => [errno, code]))
    const func = (declaration: string): NativeFunction =>
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what the declaration says
      library.func(declaration) as NativeFunction
    // Both start with name, password and number; nothing else is looked at.
    const account = {
      name: 'str',
      password: 'str',
      id: 'uint32_t',
      gid: 'uint32_t',
      a: 'void *',
      b: 'void *',
      c: 'void *',
    }
    const type = `restic_ts_account_${process.pid}_${Math.trunc(performance.now() * 1000)}`
    koffi.struct(type, account)
    try {
      this.#statx = func('int statx(int folder, const void *path, int flags, uint32_t mask, void *stat)')
      this.#getdents = func('long getdents64(int folder, void *entries, size_t size)')
    } catch {
      // An old library has none, or only the first.
    }
    const forEntry = (result: string, name: string, rest: string): ForEntry => ({
      path: func(`${result} l${name}(const void *path, ${rest})`),
      file: func(`${result} f${name}(int file, ${rest})`),
    })
    this.#listxattr = forEntry('long', 'listxattr', 'void *list, size_t size')
    this.#getxattr = forEntry('long', 'getxattr', 'const void *name, void *value, size_t size')
    const value = 'const void *name, const void *value, size_t size, int flags'
    this.#setxattr = forEntry('int', 'setxattr', value)
    this.#removexattr = forEntry('int', 'removexattr', 'const void *name')
    this.#mknod = func('int mknod(const void *path, uint32_t mode, uint64_t device)')
    this.#utimensat = func('int utimensat(int folder, const void *path, const void *times, int flags)')
    // Both have 64 bits for a size, wherever there is the first; musl has the second only.
    const reserve = 'int file, int mode, int64_t offset, int64_t length'
    this.#fallocate = firstOf([`int fallocate64(${reserve})`, `int fallocate(${reserve})`], func)
    this.#openat = func('int openat(int folder, const void *path, int flags)')
    this.#createat = func('int openat(int folder, const void *path, int flags, uint32_t mode)')
    this.#close = func('int close(int file)')
    this.#getpwuid = func(
      `int getpwuid_r(uint32_t id, _Inout_ ${type} *entry, void *buffer, size_t size, void *found)`,
    )
    this.#getgrgid = func(
      `int getgrgid_r(uint32_t id, _Inout_ ${type} *entry, void *buffer, size_t size, void *found)`,
    )
    this.#getpwnam = func(
      `int getpwnam_r(const void *name, _Inout_ ${type} *entry, void *buffer, size_t size, void *found)`,
    )
    this.#getgrnam = func(
      `int getgrnam_r(const void *name, _Inout_ ${type} *entry, void *buffer, size_t size, void *found)`,
    )
  }

  lstat(path: string): FileStat | undefined {
    if (path.includes('\0')) return undefined
    return this.#readStat(AT_FDCWD, pathArgument(path), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)
  }

  fstat(fd: number): FileStat | undefined {
    return this.#readStat(fd, '', AT_EMPTY_PATH)
  }

  lstatIn(folder: number, name: string): FileStat | undefined {
    return this.#readStat(folder, pathArgument(name), AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)
  }

  isSame(fd: number, seen: FileStat): boolean | undefined {
    const stat = this.#stat
    if (!this.#askStat(fd, '', AT_EMPTY_PATH)) return undefined
    return (
      stat.getBigUint64(32, true) === seen.inode &&
      sizeAt(stat) === seen.size &&
      stat.getUint16(28, true) === seen.mode &&
      deviceNumber(stat.getUint32(136, true), stat.getUint32(140, true)) === seen.deviceId &&
      isTimeAt(stat, 112, seen.mtime) &&
      isTimeAt(stat, 96, seen.ctime)
    )
  }

  openFolder(path: string): number {
    return this.#openat(AT_FDCWD, pathArgument(path), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
  }

  openIn(folder: number, name: string): number {
    const flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    const path = pathArgument(name)
    const fd = this.#openat(folder, path, flags | O_NOATIME)
    // Only its owner may look at a file without showing it.
    return fd < 0 && this.#koffi.errno() === EPERM ? this.#openat(folder, path, flags) : fd
  }

  findFolder(path: string): number {
    return this.#openat(AT_FDCWD, pathArgument(path), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
  }

  createIn(folder: number, name: string): number {
    const flags = O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC
    return this.#createat(folder, pathArgument(name), flags, 0o600)
  }

  close(fd: number): void {
    this.#close(fd)
  }

  get readsEntries(): boolean {
    return this.#getdents !== undefined
  }

  readEntries(folder: number, target: Uint8Array): number {
    const length = this.#getdents?.(folder, target, target.length) ?? 0
    if (length < 0) this.#fail('getdents64', folder)
    return length
  }

  /** Asks for what `#stat` then holds. A file system that does not know all of it is left to Node. */
  #askStat(folder: number, path: string | Buffer, flags: number): boolean {
    const status = this.#statx?.(folder, path, flags, STATX_BASIC_STATS, this.#statBytes)
    return status === 0 && (this.#stat.getUint32(0, true) & STATX_BASIC_STATS) === STATX_BASIC_STATS
  }

  #readStat(folder: number, path: string | Buffer, flags: number): FileStat | undefined {
    const stat = this.#stat
    if (!this.#askStat(folder, path, flags)) return undefined
    return {
      mode: stat.getUint16(28, true),
      uid: stat.getUint32(20, true),
      gid: stat.getUint32(24, true),
      links: stat.getUint32(16, true),
      size: sizeAt(stat),
      inode: stat.getBigUint64(32, true),
      deviceId: deviceNumber(stat.getUint32(136, true), stat.getUint32(140, true)),
      device: deviceNumber(stat.getUint32(128, true), stat.getUint32(132, true)),
      atime: timeAt(stat, 64),
      ctime: timeAt(stat, 96),
      mtime: timeAt(stat, 112),
    }
  }

  listXattrs(entry: Entry): string[] {
    const [listxattr, at] = [functionFor(this.#listxattr, entry), argumentFor(entry)]
    let list = this.#list
    let length = listxattr(at, list, list.length)
    while (length < 0 && this.#koffi.errno() === ERANGE) {
      list = Buffer.alloc(Math.max(listxattr(at, null, 0), list.length * 2))
      length = listxattr(at, list, list.length)
    }
    if (length < 0) this.#fail('llistxattr', entry)
    if (length === 0) return []
    const names: string[] = []
    for (let start = 0; start < length;) {
      const end = list.indexOf(0, start)
      names.push(decodeRawName(list.subarray(start, end)))
      start = end + 1
    }
    return names
  }

  getXattr(entry: Entry, name: string): Uint8Array {
    const [getxattr, at] = [functionFor(this.#getxattr, entry), argumentFor(entry)]
    const nameBytes = cString(name)
    for (let size = VALUE_BYTES; ; size *= 2) {
      const value = Buffer.allocUnsafeSlow(size)
      const length = getxattr(at, nameBytes, value, size)
      if (length >= 0) return new Uint8Array(value.subarray(0, length))
      if (this.#koffi.errno() !== ERANGE) this.#fail('lgetxattr', entry)
      size = Math.max(size, getxattr(at, nameBytes, null, 0))
    }
  }

  setXattr(entry: Entry, name: string, value: Uint8Array): void {
    const setxattr = functionFor(this.#setxattr, entry)
    if (setxattr(argumentFor(entry), cString(name), Buffer.from(value), value.length, 0) < 0)
      this.#fail('lsetxattr', entry)
  }

  removeXattr(entry: Entry, name: string): void {
    const removexattr = functionFor(this.#removexattr, entry)
    if (removexattr(argumentFor(entry), cString(name)) < 0) this.#fail('lremovexattr', entry)
  }

  makeNode(path: string, mode: number, device: bigint): void {
    if (this.#mknod(cString(path), mode, device) < 0) this.#fail('mknod', path)
  }

  setTimes(path: string, atime: FileTime, mtime: FileTime): void {
    if (!this.setTimesIn(AT_FDCWD, path, atime, mtime)) this.#fail('utimensat', path)
  }

  setTimesIn(folder: number, name: string, atime: FileTime, mtime: FileTime): boolean {
    putTime(this.#times, 0, atime)
    putTime(this.#times, 16, mtime)
    return this.#utimensat(folder, pathArgument(name), this.#timesBytes, AT_SYMLINK_NOFOLLOW) === 0
  }

  reserve(fd: number, sizeBytes: number): void {
    if (this.#fallocate(fd, 0, 0, sizeBytes) < 0) this.#fail('fallocate', fd)
  }

  userName(uid: number): string | undefined {
    return this.#lookup(this.#getpwuid, uid)?.name ?? undefined
  }

  groupName(gid: number): string | undefined {
    return this.#lookup(this.#getgrgid, gid)?.name ?? undefined
  }

  userId(name: string): number | undefined {
    return this.#lookup(this.#getpwnam, cString(name))?.id
  }

  groupId(name: string): number | undefined {
    return this.#lookup(this.#getgrnam, cString(name))?.id
  }

  #lookup(call: NativeFunction, key: number | Buffer): AccountEntry | undefined {
    for (let buffer = this.#entry; ; buffer = Buffer.alloc(buffer.length * 2)) {
      // Nulls, so that nothing is read through a pointer the call did not set.
      const entry: AccountEntry & Record<string, unknown> = {
        name: null,
        password: null,
        id: 0,
        gid: 0,
        a: null,
        b: null,
        c: null,
      }
      this.#found.fill(0)
      const failure = call(key, entry, buffer, buffer.length, this.#found)
      if (failure === ERANGE && buffer.length < 1 << 22) continue
      return failure === 0 && this.#found.some((byte) => byte !== 0) ? entry : undefined
    }
  }

  #fail(syscall: string, entry: Entry): never {
    const path = typeof entry === 'string' ? entry : `descriptor ${entry}`
    const errno = this.#koffi.errno()
    throw new SystemCallError(syscall, path, { errno, code: this.#codes.get(errno) ?? `errno ${errno}` })
  }
}

/** The first that the library has. @throws where it has none */
function firstOf(
  declarations: readonly string[],
  func: (declaration: string) => NativeFunction,
): NativeFunction {
  for (const declaration of declarations.slice(0, -1)) {
    try {
      return func(declaration)
    } catch {
      // The next one, then.
    }
  }
  return func(declarations.at(-1) ?? '')
}

function functionFor({ path, file }: ForEntry, entry: Entry): NativeFunction {
  return typeof entry === 'number' ? file : path
}

function argumentFor(entry: Entry): string | Buffer | number {
  return typeof entry === 'number' ? entry : pathArgument(entry)
}

/** A `struct timespec`. */
function putTime(target: DataView, offset: number, { seconds, nanoseconds }: FileTime): void {
  // Rounded down, so that times before 1970 come out right.
  target.setInt32(offset + 4, Math.floor(seconds / 2 ** 32), true)
  target.setUint32(offset, seconds >>> 0, true)
  target.setInt32(offset + 12, 0, true)
  target.setUint32(offset + 8, nanoseconds, true)
}

/** As koffi takes it: most paths are valid UTF-8, and koffi is fastest with strings. */
function pathArgument(path: string): string | Buffer {
  return isWellFormedName(path) ? path : cString(path)
}

/** NUL-terminated raw bytes. */
function cString(text: string): Buffer {
  const bytes = encodeRawName(text)
  const terminated = Buffer.allocUnsafe(bytes.length + 1)
  terminated.set(bytes)
  terminated[bytes.length] = 0
  return terminated
}

function sizeAt(stat: DataView): number {
  return stat.getUint32(44, true) * 2 ** 32 + stat.getUint32(40, true)
}

function isTimeAt(stat: DataView, offset: number, { seconds, nanoseconds }: FileTime): boolean {
  return (
    stat.getUint32(offset, true) === seconds >>> 0 &&
    stat.getInt32(offset + 4, true) === Math.floor(seconds / 2 ** 32) &&
    stat.getUint32(offset + 8, true) === nanoseconds
  )
}

/** A `struct statx_timestamp`. */
function timeAt(stat: DataView, offset: number): FileTime {
  const seconds = stat.getInt32(offset + 4, true) * 2 ** 32 + stat.getUint32(offset, true)
  return { seconds, nanoseconds: stat.getUint32(offset + 8, true) }
}

let lastMajor = 0
let lastMinor = 0
let lastDevice = 0n

/** As `makedev` of the C library. Neighbours are on one device, and big numbers are slow. */
function deviceNumber(major: number, minor: number): bigint {
  if (major !== lastMajor || minor !== lastMinor) {
    const [high, low] = [BigInt(major), BigInt(minor)]
    lastDevice =
      ((high & 0xff_ff_f0_00n) << 32n) |
      ((high & 0xfffn) << 8n) |
      ((low & 0xff_ff_ff_00n) << 12n) |
      (low & 0xffn)
    lastMajor = major
    lastMinor = minor
  }
  return lastDevice
}
