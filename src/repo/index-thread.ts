/** What a worker thread runs that decodes index files. */
import { INDEX_TASKS } from './index-decoding.ts'
import { serveTasks } from './worker-thread.ts'

await serveTasks(INDEX_TASKS)
