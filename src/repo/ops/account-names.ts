/** Names of users and groups and back, from the C library (NSS), or /etc/passwd and /etc/group where it is missing. */
import { readFileSync } from 'node:fs'
import { loadLibc } from './libc.ts'

export interface AccountNames {
  /** '' where the number has no name. */
  userName(uid: number): string
  groupName(gid: number): string
  userId(name: string): number | undefined
  groupId(name: string): number | undefined
}

/** Every number and name is looked up once. */
export function createAccountNames(): AccountNames {
  const libc = loadLibc()
  const users = libc === undefined ? readAccounts('/etc/passwd') : undefined
  const groups = libc === undefined ? readAccounts('/etc/group') : undefined
  return {
    userName: memoize(
      (uid: number) => (libc === undefined ? users?.names.get(uid) : libc.userName(uid)) ?? '',
    ),
    groupName: memoize(
      (gid: number) => (libc === undefined ? groups?.names.get(gid) : libc.groupName(gid)) ?? '',
    ),
    userId: memoize((name: string) => (libc === undefined ? users?.ids.get(name) : libc.userId(name))),
    groupId: memoize((name: string) => (libc === undefined ? groups?.ids.get(name) : libc.groupId(name))),
  }
}

function memoize<K, V>(compute: (key: K) => V): (key: K) => V {
  const known = new Map<K, { readonly value: V }>()
  return (key) => {
    let entry = known.get(key)
    if (entry === undefined) {
      entry = { value: compute(key) }
      known.set(key, entry)
    }
    return entry.value
  }
}

function readAccounts(path: string): {
  readonly names: Map<number, string>
  readonly ids: Map<string, number>
} {
  const names = new Map<number, string>()
  const ids = new Map<string, number>()
  let text = ''
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    // No such file on this system: all names stay unknown.
  }
  for (const line of text.split('\n')) {
    const [name, , id] = line.split(':')
    if (name === undefined || id === undefined || !/^\d+$/.test(id)) continue
    if (!names.has(Number(id))) names.set(Number(id), name)
    if (!ids.has(name)) ids.set(name, Number(id))
  }
  return { names, ids }
}
