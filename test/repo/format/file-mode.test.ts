import { describe, expect, it } from 'vitest'
import { goModeFromUnix, modeString, unixModeFromGo } from '../../../src/repo/format/file-mode.ts'

describe('file modes', () => {
  it.each([
    [0o100644, 420, '-rw-r--r--'],
    [0o040755, 2_147_484_141, 'drwxr-xr-x'],
    [0o041777, 2_148_532_735, 'dtrwxrwxrwx'],
    [0o042755, 2_151_678_445, 'dgrwxr-xr-x'],
    [0o104755, 8_389_101, 'urwxr-xr-x'],
    [0o010644, 33_554_852, 'prw-r--r--'],
    [0o020644, 69_206_436, 'Dcrw-r--r--'],
    [0o060640, 67_109_280, 'Drw-r-----'],
    [0o120777, 134_218_239, 'Lrwxrwxrwx'],
    [0o140755, 16_777_709, 'Srwxr-xr-x'],
    [0o100000, 0, '----------'],
    [0o107777, 13_631_999, 'ugtrwxrwxrwx'],
  ])('turn %o into %d, which prints as %s', (stMode, goMode, text) => {
    expect(goModeFromUnix(stMode)).toBe(goMode)
    expect(unixModeFromGo(goMode)).toBe(stMode)
    expect(modeString(goMode)).toBe(text)
  })

  it('of every permission and type come back as they were', () => {
    for (const type of [0o10, 0o04, 0o12, 0o06, 0o02, 0o01, 0o14]) {
      for (let bits = 0; bits < 0o10000; bits++) {
        const stMode = (type << 12) | bits
        expect(unixModeFromGo(goModeFromUnix(stMode))).toBe(stMode)
      }
    }
  })
})
