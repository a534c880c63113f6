/**
 * The calls of the script this program replaces, `cloud_backup.py --command VERB [--restore-dir DIR]`, as ours.
 * And `--verbose=2`, which restic takes, as `-vv`.
 */

const LEGACY_VERBS = new Set(['backup', 'restore', 'init', 'check', 'list', 'prune'])

export function translateArguments(args: readonly string[]): string[] {
  const translated: string[] = []
  let verb: string | undefined
  for (let i = 0; i < args.length; i++) {
    const arg = args[i] ?? ''
    const level = /^--verbose=(\d)$/.exec(arg)?.[1]
    const next = args[i + 1]
    if (arg === '--') {
      translated.push(...args.slice(i))
      break
    } else if (arg === '--command' && verb === undefined && next !== undefined && LEGACY_VERBS.has(next)) {
      verb = next
      i += 1
    } else if (
      arg.startsWith('--command=') &&
      verb === undefined &&
      LEGACY_VERBS.has(arg.slice('--command='.length))
    ) {
      verb = arg.slice('--command='.length)
    } else if (level !== undefined) {
      for (let n = 0; n < Number(level); n++) translated.push('-v')
    } else {
      translated.push(arg)
    }
  }
  if (verb === undefined) return translated
  // `--command restore` alone meant the latest snapshot.
  return verb === 'restore' ? [verb, 'latest', ...translated] : [verb, ...translated]
}
