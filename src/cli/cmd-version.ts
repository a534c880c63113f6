/** version: print what this is. */
import type { Command } from 'commander'
import type { RunCommand } from './command.ts'
import { EXIT_OK } from './exit-codes.ts'
import { VERSION } from './version.ts'

export function define(command: Command, run: RunCommand): void {
  command.action(() =>
    run(async (context) => {
      const { versions, platform, arch } = process
      if (context.isJson) {
        // restic's members; what would be Go's version is Node's.
        context.printJson({
          message_type: 'version',
          version: VERSION,
          go_version: `node${versions.node}`,
          go_os: platform,
          go_arch: arch,
        })
      } else {
        context.printResult(`restic-ts ${VERSION} on node ${versions.node} ${platform}/${arch}\n`)
      }
      return EXIT_OK
    }),
  )
}
