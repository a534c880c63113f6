/** What a worker thread runs. */
import { serveTasks } from '../worker-thread.ts'
import { TASKS } from './threads.ts'

await serveTasks(TASKS)
