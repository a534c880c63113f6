/** Names from the C library, and from the files where there is none. */
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createAccountNames } from '../../../src/repo/ops/account-names.ts'
import { loadLibc, type Libc } from '../../../src/repo/ops/libc.ts'

vi.mock(import('../../../src/repo/ops/libc.ts'), { spy: true })

afterEach(() => vi.mocked(loadLibc).mockReset())

describe('without the C library', () => {
  it('come from /etc/passwd and /etc/group', () => {
    vi.mocked(loadLibc).mockReturnValue(undefined)
    const names = createAccountNames()
    const users = readFileSync('/etc/passwd', 'utf8').trim().split('\n')
    const last = users.at(-1)!.split(':')
    expect(names.userName(0)).toBe('root')
    expect(names.userId('root')).toBe(0)
    expect(names.groupName(0)).toBe('root')
    expect(names.groupId('root')).toBe(0)
    expect(names.userId(last[0]!)).toBe(Number(last[2]))
  })

  it('are empty or undefined where there is no such account', () => {
    vi.mocked(loadLibc).mockReturnValue(undefined)
    const names = createAccountNames()
    expect([names.userName(3_999_999_999), names.groupName(3_999_999_999)]).toEqual(['', ''])
    expect([names.userId('nix'), names.groupId('nix')]).toEqual([undefined, undefined])
  })
})

it('are asked for once each', () => {
  const lookups: (number | string)[] = []
  const look =
    <T>(answer: T) =>
    (key: number | string): T => {
      lookups.push(key)
      return answer
    }
  const libc = { userName: look('u'), groupName: look(undefined), userId: look(7), groupId: look(undefined) }
  vi.mocked(loadLibc).mockReturnValue(libc as unknown as Libc)
  const names = createAccountNames()
  for (let i = 0; i < 3; i++) {
    expect([names.userName(1), names.groupName(2), names.userId('a'), names.groupId('b')]).toEqual([
      'u',
      '',
      7,
      undefined,
    ])
  }
  expect(lookups).toEqual([1, 2, 'a', 'b'])
})
