/**
 * The calls of the script this program replaces, `cloud_backup.py --command VERB [--restore-dir DIR]`, as ours. And
 * `--verbose=2`, which restic takes, as `-vv`.
 */

const LEGACY_VERBS: ReadonlySet<string> = new Set(['backup', 'restore', 'init', 'check', 'list', 'prune'])
/** Where the script restored to unless told otherwise. */
const LEGACY_TARGET = './restore'

export function translateArguments(args: readonly string[]): string[] {
  const end = args.indexOf('--')
  const flags = end < 0 ? args : args.slice(0, end)
  const operands = end < 0 ? [] : args.slice(end)
  const { verb, rest } = takeVerb(flags.flatMap(expandVerbose))
  if (verb === undefined) return [...rest, ...operands]
  if (verb === 'restore') return [verb, 'latest', ...withTarget(rest), ...operands]
  // The script took --restore-dir with every verb.
  return [verb, ...takeOption(rest, '--restore-dir').rest, ...operands]
}

function takeVerb(args: readonly string[]): { readonly verb?: string; readonly rest: readonly string[] } {
  const { value, rest } = takeOption(args, '--command')
  return value !== undefined && LEGACY_VERBS.has(value) ? { verb: value, rest } : { rest: args }
}

/** `--verbose=2`, `-v=2` */
function expandVerbose(arg: string): string[] {
  const level = /^(?:--verbose|-v)=(\d)$/.exec(arg)?.[1]
  return level === undefined ? [arg] : Array.from({ length: Number(level) }, () => '-v')
}

function withTarget(args: readonly string[]): readonly string[] {
  const hasTarget = args.some((arg) => /^(--(target|restore-dir)(=|$)|-t)/.test(arg))
  return hasTarget ? args : ['--restore-dir', LEGACY_TARGET, ...args]
}

/** Takes `--name VALUE` or `--name=VALUE` out. */
function takeOption(
  args: readonly string[],
  name: string,
): { readonly value?: string; readonly rest: readonly string[] } {
  const at = args.findIndex((arg) => arg === name || arg.startsWith(`${name}=`))
  const arg = args[at]
  if (arg === undefined) return { rest: args }
  const next = args[at + 1]
  if (arg !== name) return { value: arg.slice(name.length + 1), rest: args.toSpliced(at, 1) }
  return next === undefined ? { rest: args } : { value: next, rest: args.toSpliced(at, 2) }
}
