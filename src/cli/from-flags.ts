/** `--from-…`: the second repository of a command that takes two. */
import type { Command } from 'commander'

/** What to name where none is given. */
export const FROM_FLAGS = '--from-repo or --from-repository-file'

export function addFromOptions(command: Command): Command {
  return command
    .option('--from-repo <location>', 'that other repository (default: $RESTIC_FROM_REPOSITORY)')
    .option('--from-repository-file <file>', 'file to read its location from')
    .option('--from-password-file <file>', 'file to read its password from')
    .option('--from-password-command <command>', 'command that prints its password')
    .option('--from-key-hint <id>', 'its key to try first')
    .option('--from-insecure-no-password', 'its password is empty')
}
