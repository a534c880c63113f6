/** Go's os.FileMode, which trees store (format spec §10), and the st_mode of Unix. */

export const MODE_DIR: number = 2 ** 31
export const MODE_SYMLINK: number = 1 << 27
export const MODE_DEVICE: number = 1 << 26
export const MODE_NAMED_PIPE: number = 1 << 25
export const MODE_SOCKET: number = 1 << 24
export const MODE_SETUID: number = 1 << 23
export const MODE_SETGID: number = 1 << 22
export const MODE_CHAR_DEVICE: number = 1 << 21
export const MODE_STICKY: number = 1 << 20
export const MODE_PERMISSIONS = 0o777

const S_IFMT = 0o170000
const S_ISUID = 0o4000
const S_ISGID = 0o2000
const S_ISVTX = 0o1000

/** File types of st_mode and what Go makes of them. */
const FILE_TYPES: readonly { readonly unix: number; readonly go: number }[] = [
  { unix: 0o100000, go: 0 },
  { unix: 0o040000, go: MODE_DIR },
  { unix: 0o120000, go: MODE_SYMLINK },
  { unix: 0o060000, go: MODE_DEVICE },
  { unix: 0o020000, go: MODE_DEVICE | MODE_CHAR_DEVICE },
  { unix: 0o010000, go: MODE_NAMED_PIPE },
  { unix: 0o140000, go: MODE_SOCKET },
]
const GO_TYPE_MASK = MODE_DIR | MODE_SYMLINK | MODE_DEVICE | MODE_CHAR_DEVICE | MODE_NAMED_PIPE | MODE_SOCKET

/** Go's letters for bits 31 to 19; dashes stand for bits it has no use for here (append, exclusive, temporary). */
const MODE_LETTERS = 'dalTLDpSugct?'
const PERMISSION_LETTERS = 'rwxrwxrwx'

/** The FileMode for an st_mode. */
export function goModeFromUnix(stMode: number): number {
  let mode = stMode & MODE_PERMISSIONS
  mode |= FILE_TYPES.find((type) => type.unix === (stMode & S_IFMT))?.go ?? 0
  if (stMode & S_ISUID) mode |= MODE_SETUID
  if (stMode & S_ISGID) mode |= MODE_SETGID
  if (stMode & S_ISVTX) mode |= MODE_STICKY
  return mode >>> 0
}

/** The st_mode, file type included, for a FileMode. */
export function unixModeFromGo(mode: number): number {
  let stMode = mode & MODE_PERMISSIONS
  stMode |= FILE_TYPES.find((type) => type.go >>> 0 === (mode & GO_TYPE_MASK) >>> 0)?.unix ?? 0
  if (mode & MODE_SETUID) stMode |= S_ISUID
  if (mode & MODE_SETGID) stMode |= S_ISGID
  if (mode & MODE_STICKY) stMode |= S_ISVTX
  return stMode
}

/** A FileMode as Go prints it: `drwxr-xr-x`, `-rw-r--r--`, `Dcrw-rw-rw-`. */
export function modeString(mode: number): string {
  let letters = ''
  for (let i = 0; i < MODE_LETTERS.length; i++) {
    if ((mode >>> (31 - i)) & 1) letters += MODE_LETTERS.charAt(i)
  }
  if (letters === '') letters = '-'
  for (let i = 0; i < PERMISSION_LETTERS.length; i++) {
    letters += (mode >>> (8 - i)) & 1 ? PERMISSION_LETTERS.charAt(i) : '-'
  }
  return letters
}
