/** Listening to an AbortSignal for the time of one call. */
import { setMaxListeners } from 'node:events'

/**
 * Calls `listener` when the signal fires.
 * @returns ends the listening
 */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => undefined
  allowManyListeners(signal)
  signal.addEventListener('abort', listener, { once: true })
  return () => signal.removeEventListener('abort', listener)
}

/** All transfers of an operation share its signal: a listener for each is no leak that Node would have to warn of. */
function allowManyListeners(signal: AbortSignal): void {
  setMaxListeners(0, signal)
}
