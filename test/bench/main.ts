/**
 * `npm run bench -- [--data linux,random,…] [--jobs backup,…] [--runs 3] [--json FILE] [--kernels]
 * [--index 1,5,10] [--far]`: whole commands beside restic 0.19.1, in alternating runs on one machine; what loads the
 * index of so many million blobs; or a repository behind a long line. Prints a table of medians and their ratios.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { DATASETS, prepare } from './data.ts'
import { benchFar } from './far.ts'
import { INDEX_JOBS, measureIndexJob, prepareIndex } from './index-scale.ts'
import { JOBS, type JobRun } from './jobs.ts'
import { benchKernels } from './kernels.ts'
import { PROGRAMS, RESTIC_VERSION, type Program } from './programs.ts'

/** Jobs that say little on a dataset, or take long and say the same as on another. */
const DEFAULT_JOBS: Readonly<Record<string, readonly string[]>> = {
  linux: ['backup', 'rescan', 'restore', 'check', 'read-data', 'prune'],
  random: ['backup', 'restore', 'read-data'],
  tiny: ['backup', 'rescan', 'restore'],
  media: ['backup', 'rescan', 'restore'],
  image: ['backup', 'restore'],
  small: ['list', 'backup', 'check'],
}

/**
 * Where so many files are removed, ext4 passes over their inodes for five minutes whenever a file is made: they stay until
 * all is measured.
 */
const MANY_FILES: ReadonlySet<string> = new Set(['linux', 'tiny'])

const HEADER = [
  '| data | job | wall: restic, ours | ratio | CPU: restic, ours | ratio | peak MiB: restic, ours | ratio | stored ratio |',
  '|---|---|---|---|---|---|---|---|---|',
]

interface Row {
  readonly data: string
  readonly job: string
  readonly runs: Record<Program, JobRun[]>
}

const { values } = parseArgs({
  options: {
    data: { type: 'string' },
    jobs: { type: 'string' },
    runs: { type: 'string', default: '3' },
    json: { type: 'string' },
    kernels: { type: 'boolean', default: false },
    index: { type: 'string' },
    far: { type: 'boolean', default: false },
  },
})

if (values.kernels) benchKernels()
else await benchCommands()

async function benchCommands(): Promise<void> {
  // oxlint-disable-next-line node/no-process-env -- where a large disk is
  const root = process.env['RESTIC_TS_BENCH_DIR'] ?? join(tmpdir(), 'restic-ts-bench')
  const rows = await bench(root)
  process.stdout.write(`${[describeMachine(), '', ...HEADER, ...rows.map(line)].join('\n')}\n`)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rows, undefined, 1)}\n`)
}

function bench(root: string): Promise<Row[]> {
  if (values.far) return benchFar(root, Number(values.runs))
  return values.index === undefined ? benchJobs(root) : benchIndex(root, values.index)
}

async function benchIndex(root: string, sizes: string): Promise<Row[]> {
  const rows: Row[] = []
  for (const millions of sizes.split(',').map(Number)) {
    const repository = await prepareIndex(root, millions)
    for (const job of INDEX_JOBS) {
      if (!isWanted(values.jobs, job.name)) continue
      const row: Row = { data: `${millions} M blobs`, job: job.name, runs: { restic: [], ours: [] } }
      for (let i = 0; i < Number(values.runs); i++)
        for (const program of PROGRAMS) row.runs[program].push(measureIndexJob(program, repository, job))
      rows.push(row)
      process.stderr.write(`${line(row)}\n`)
    }
  }
  return rows
}

async function benchJobs(root: string): Promise<Row[]> {
  const rows: Row[] = []
  const leftovers: string[] = []
  for (const dataset of DATASETS.filter(({ name }) => isWanted(values.data, name))) {
    const source = prepare(dataset, root)
    const folder = join(root, 'work', dataset.name)
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    for (const job of JOBS) {
      const isDefault = DEFAULT_JOBS[dataset.name]?.includes(job.name) ?? false
      if (values.jobs === undefined ? !isDefault : !isWanted(values.jobs, job.name)) continue
      const row: Row = { data: dataset.name, job: job.name, runs: { restic: [], ours: [] } }
      for (let i = 0; i < Number(values.runs); i++) {
        for (const program of PROGRAMS) row.runs[program].push(job.run(program, { source, folder }))
      }
      rows.push(row)
      process.stderr.write(`${line(row)}\n`)
    }
    leftovers.push(folder)
    if (!MANY_FILES.has(dataset.name)) rmSync(folder, { recursive: true, force: true })
  }
  for (const folder of leftovers) rmSync(folder, { recursive: true, force: true })
  return rows
}

function isWanted(list: string | undefined, name: string): boolean {
  return list === undefined || list.split(',').includes(name)
}

function describeMachine(): string {
  const [cpu] = cpus()
  const machine = `${cpus().length} × ${cpu?.model ?? 'unknown'}, Node ${process.versions.node}, restic ${RESTIC_VERSION}`
  return `${new Date().toISOString().slice(0, 10)}, ${machine}, medians of ${values.runs} alternating runs, --no-cache`
}

function line({ data, job, runs }: Row): string {
  const cells = [
    (run: JobRun) => run.wallSeconds,
    (run: JobRun) => run.cpuSeconds,
    (run: JobRun) => run.peakMib,
  ].flatMap((value, i) => {
    const [theirs, ours] = PROGRAMS.map((program) => median(runs[program].map(value))) as [number, number]
    const digits = i === 2 ? 0 : 2
    return [`${theirs.toFixed(digits)}, ${ours.toFixed(digits)}`, `**${(ours / theirs).toFixed(2)}**`]
  })
  const [theirs, ours] = PROGRAMS.map((program) => runs[program][0]?.storedMib)
  const stored = theirs === undefined || ours === undefined ? '' : (ours / theirs).toFixed(3)
  return `| ${[data, job, ...cells, stored].join(' | ')} |`
}

function median(numbers: readonly number[]): number {
  return numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN
}
