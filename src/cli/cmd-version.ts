/** version: print what this is. */
import type { Command } from 'commander'
import type { CommandRunner } from './command.ts'
import { EXIT_OK } from './exit-codes.ts'
import type { GlobalOptions } from './global-options.ts'
import type { CliIo } from './io.ts'
import { VERSION } from './version.ts'

/** Go's names of systems and processors, where Node has others. */
const GO_NAMES: Readonly<Record<string, string>> = {
  win32: 'windows',
  sunos: 'solaris',
  x64: 'amd64',
  ia32: '386',
  mipsel: 'mipsle',
}

export function define(command: Command, run: CommandRunner): void {
  command.action(() => run.plainly(printVersion))
}

function printVersion({ stdout }: CliIo, { json }: GlobalOptions): number {
  const { versions, platform, arch } = process
  const [system = platform, processor = arch] = [GO_NAMES[platform], GO_NAMES[arch]]
  // restic's members; what would be Go's version is Node's.
  const members = {
    message_type: 'version',
    version: VERSION,
    go_version: `node${versions.node}`,
    go_os: system,
    go_arch: processor,
  }
  const text = `restic-ts ${VERSION} on node ${versions.node} ${system}/${processor}`
  stdout.write(`${json === true ? JSON.stringify(members) : text}\n`)
  return EXIT_OK
}
