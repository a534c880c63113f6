/** `--host`, `--tag` and `--path`: which snapshots a command is about (command spec §1.7). */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { parseTagList, type SnapshotFilter } from '../index.ts'
import { collect } from './global-options.ts'
import type { CliIo } from './io.ts'

export interface FilterFlags {
  readonly host?: readonly string[]
  readonly tag?: readonly string[]
  readonly path?: readonly string[]
}

/** @param hostFlags forget has no short form for --host */
export function addFilterOptions(command: Command, hostFlags = '-H, --host <host>'): Command {
  return command
    .option(hostFlags, 'only snapshots of this host (may be repeated; default: $RESTIC_HOST)', collect)
    .option('--tag <tag[,tag...]>', 'only snapshots with these tags (may be repeated)', collect)
    .option('--path <path>', 'only snapshots of this absolute path (may be repeated)', collect)
}

/** An empty --host cancels the variable. */
export function filterFrom(flags: FilterFlags, env: CliIo['env']): SnapshotFilter {
  const hosts = flags.host ?? [env['RESTIC_HOST'] ?? '']
  return {
    hosts: hosts.length === 1 && hosts[0] === '' ? [] : hosts,
    tags: (flags.tag ?? []).map(parseTagList),
    paths: flags.path ?? [],
  }
}

/** For commands on one snapshot: relative paths mean those of the working directory. */
export function absolutePaths(filter: SnapshotFilter): SnapshotFilter {
  return { ...filter, paths: (filter.paths ?? []).map((path) => resolve(path)) }
}
