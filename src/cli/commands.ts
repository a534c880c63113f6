/** The commands there are. */
import type { CommandModule } from './command.ts'

interface CommandEntry {
  readonly name: string
  readonly description: string
  readonly load: () => Promise<CommandModule>
}

export const COMMANDS: readonly CommandEntry[] = [
  { name: 'init', description: 'make a new repository', load: () => import('./cmd-init.ts') },
  {
    name: 'backup',
    description: 'make a snapshot of files and folders',
    load: () => import('./cmd-backup.ts'),
  },
  { name: 'restore', description: 'restore files from a snapshot', load: () => import('./cmd-restore.ts') },
  { name: 'snapshots', description: 'list snapshots', load: () => import('./cmd-snapshots.ts') },
  {
    name: 'list',
    description: 'list snapshots, or the objects of one type',
    load: () => import('./cmd-list.ts'),
  },
  { name: 'check', description: 'check the repository for errors', load: () => import('./cmd-check.ts') },
  { name: 'forget', description: 'remove snapshots by a policy', load: () => import('./cmd-forget.ts') },
  { name: 'prune', description: 'remove data no snapshot needs', load: () => import('./cmd-prune.ts') },
  {
    name: 'copy',
    description: 'copy snapshots from another repository',
    load: () => import('./cmd-copy.ts'),
  },
  { name: 'key', description: 'manage keys (passwords)', load: () => import('./cmd-key.ts') },
  { name: 'cat', description: 'print an object of the repository', load: () => import('./cmd-cat.ts') },
  { name: 'unlock', description: 'remove stale locks', load: () => import('./cmd-unlock.ts') },
  { name: 'cache', description: 'list local caches, remove old ones', load: () => import('./cmd-cache.ts') },
  { name: 'version', description: 'print version information', load: () => import('./cmd-version.ts') },
]

/** Commands of restic that are still to come: whoever asks for one should hear that it is no typing error. */
export const MISSING_COMMANDS: ReadonlySet<string> = new Set([
  'diff',
  'dump',
  'features',
  'find',
  'generate',
  'ls',
  'migrate',
  'mount',
  'options',
  'rebuild-index',
  'recover',
  'repair',
  'rewrite',
  'self-update',
  'stats',
  'tag',
])
