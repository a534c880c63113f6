/** Files of the folder fixtures, see the README there. */
import { readFileSync } from 'node:fs'

export function fixtureText(name: string): string {
  return readFileSync(new URL(`fixtures/${name}`, import.meta.url), 'utf8')
}

export function fixtureLines(name: string): string[] {
  return fixtureText(name).trimEnd().split('\n')
}

/** What JSON.parse makes of `text`, taken for a `T`. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- says what the caller knows of the text
export function jsonAs<T>(text: string): T {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- tests know what they read
  return JSON.parse(text) as T
}
