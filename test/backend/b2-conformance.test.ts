/** B2, on the emulator, under the suite that all stores pass: with a key for everything, and with one that cannot delete. */
import { createHash } from 'node:crypto'
import { describeBackend } from './conformance.ts'
import { openOn, TEST_BUCKET } from '../support/b2-emulator-backend.ts'
import { B2Emulator } from '../support/b2-emulator.ts'
import { ALL_CAPABILITIES } from '../support/b2-emulator-store.ts'

for (const [name, capabilities] of [
  ['b2', ALL_CAPABILITIES],
  ['b2, without deleteFiles,', ALL_CAPABILITIES.filter((each) => each !== 'deleteFiles')],
] as const) {
  describeBackend(name, async () => {
    const emulator = await B2Emulator.start()
    const key = emulator.addKey({ capabilities })
    return {
      backend: openOn(emulator, { key }),
      reopen: async () => openOn(emulator, { key }),
      putStray: async (path, data) => {
        const bytes = Buffer.from(data)
        const sha1 = createHash('sha1').update(bytes).digest('hex')
        const bucket = emulator.store.buckets.get(TEST_BUCKET)!
        const version = {
          name: `repo/${path}`,
          bytes,
          sha1,
          action: 'upload',
          contentType: 'x',
          info: {},
        } as const
        emulator.store.addVersion(bucket, version)
      },
      cleanup: async () => {
        await emulator.stop()
        if (emulator.violations.length > 0) throw new Error(emulator.violations.join('\n'))
      },
    }
  })
}
