import { chmod, mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { must } from '../compose/bed/process.js'

/** `real`: Heroku's own, which takes seconds a call. `scripted`: a small one that asks the same API in the same way. */
export type ClientKind = 'real' | 'scripted'

const repository = fileURLToPath(new URL('../../..', import.meta.url))
const scripted = fileURLToPath(new URL('client/heroku', import.meta.url))

/** A folder to put first on PATH: its `heroku` notes its arguments and becomes the client. */
export interface ClientPath {
  readonly folder: string
  /** The arguments of each call, oldest first. */
  calls(): Promise<string[][]>
}

/** Makes that folder. Installs the real client where it is wanted and missing. */
export async function clientPath(dir: string, kind: ClientKind): Promise<ClientPath> {
  const folder = join(dir, 'bin')
  const notes = join(dir, 'heroku-calls')
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'heroku'), noting(notes, await programOf(kind)))
  await chmod(join(folder, 'heroku'), 0o755)
  return { folder, calls: async () => callsIn(await readFile(notes, 'utf8').catch(() => '')) }
}

async function programOf(kind: ClientKind): Promise<string> {
  if (kind === 'scripted') return `'${process.execPath}' '${scripted}'`
  await must(join(repository, 'scripts', 'heroku-cli'), ['up'])
  return `'${join(await must(join(repository, 'scripts', 'heroku-cli'), ['path']), 'heroku')}'`
}

/** Each call as its number of arguments and the arguments, with a NUL after each. */
function noting(notes: string, program: string): string {
  return `#!/bin/sh\nprintf '%s\\0' "$#" "$@" >>'${notes}'\nexec ${program} "$@"\n`
}

function callsIn(text: string): string[][] {
  const words = text.split('\0').slice(0, -1)
  const calls: string[][] = []
  while (words.length > 0) calls.push(words.splice(0, Number(words.shift())))
  return calls
}
