/**
 * The local zone's offset from UTC at any instant. Asking `Date` costs a microsecond and every node of a tree has three
 * times, so answers are kept an hour of instants at a time. An hour within which the offset changes is not kept.
 */
import { daysFromCivil, SECONDS_PER_DAY } from './civil-date.ts'

const BUCKET_SECONDS = 3600
const MAX_BUCKETS = 1 << 16
/** What `Date` can hold; beyond, the offset of the last instant it can hold is as good as any. */
const MAX_DATE_SECONDS = 8.64e12

const offsets = new Map<number, number>()
let lastBucket = Number.NaN
let lastOffset = 0

/** Seconds that local clocks are ahead of UTC at `seconds` since 1970. */
export function localOffsetAt(seconds: number): number {
  const bucket = Math.floor(seconds / BUCKET_SECONDS)
  if (bucket === lastBucket) return lastOffset
  let offset = offsets.get(bucket)
  if (offset === undefined) {
    offset = askDate(bucket * BUCKET_SECONDS)
    if (askDate((bucket + 1) * BUCKET_SECONDS) !== offset) return askDate(seconds)
    if (offsets.size >= MAX_BUCKETS) offsets.clear()
    offsets.set(bucket, offset)
  }
  lastBucket = bucket
  lastOffset = offset
  return offset
}

/** Not by `getTimezoneOffset`, which drops the seconds that offsets had before zones were standardised. */
function askDate(seconds: number): number {
  const clamped = Math.max(-MAX_DATE_SECONDS, Math.min(MAX_DATE_SECONDS, seconds))
  const date = new Date(clamped * 1000)
  const days = daysFromCivil(date.getFullYear(), date.getMonth() + 1, date.getDate())
  const timeOfDay = (date.getHours() * 60 + date.getMinutes()) * 60 + date.getSeconds()
  return days * SECONDS_PER_DAY + timeOfDay - clamped
}
