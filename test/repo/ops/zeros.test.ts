import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, it, onTestFinished } from 'vitest'
import { backup } from '../../../src/repo/ops/backup.ts'
import { isZero } from '../../../src/repo/ops/zeros.ts'
import { createTestRepository } from '../../support/test-repository.ts'

it.each([0, 1, 2, 65_535, 65_536, 65_537, 200_000])('%i zeros are only zeros', (length) => {
  expect(isZero(new Uint8Array(length))).toBe(true)
})

it('one byte that is not zero is found wherever it is', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 200_000 }),
      fc.double({ min: 0, max: 0.999, noNaN: true }),
      (length, where) => {
        const bytes = new Uint8Array(length)
        bytes[Math.floor(where * length)] = 1
        expect(isZero(bytes)).toBe(false)
      },
    ),
  )
})

it('zeros in large files are saved under the hash of their content', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'restic-ts-zeros-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const content = new Uint8Array(5 << 20)
  content[3_000_000] = 1
  writeFileSync(join(folder, 'file'), content)
  const { repository } = await createTestRepository()
  const { tree } = await backup(repository, { paths: [join(folder, 'file')] })
  let [node] = await repository.loadTree(tree)
  while (node?.subtree) [node] = await repository.loadTree(node.subtree)
  let offset = 0
  for (const id of node?.content ?? []) {
    const length = repository.blobSize('data', id) ?? 0
    const chunk = content.subarray(offset, offset + length)
    expect(createHash('sha256').update(chunk).digest('hex')).toBe(id)
    expect(Buffer.compare(await repository.loadBlob('data', id), chunk)).toBe(0)
    offset += length
  }
  expect(offset).toBe(content.length)
})
