import { join } from 'node:path'
import { Readable } from 'node:stream'
import { lacks } from '../open-toolbox.js'
import type { Toolbox } from '../toolbox.js'
import type { BackupFile } from './manifest.js'
import { type Sealing, writeStream } from './sink.js'

const NAME = 'secrets.env'
/** What a shell and dotenv take as it stands. */
const PLAIN = /^[A-Za-z0-9_@%+:,./-]*$/

/** Writes the app's variables into the backup, encrypted: they are never written in clear. */
export async function keepSecrets(
  toolbox: Toolbox,
  { dir, seal }: { dir: string; seal: Sealing },
): Promise<BackupFile> {
  const name = `${NAME}${seal.suffix}`
  const text = envText(await storedVariables(toolbox))
  const sum = await writeStream(Readable.from([Buffer.from(text)]), join(dir, name), { through: [seal.stream()] })
  return { name, part: 'secrets', ...sum, encrypted: true, compression: 'none' }
}

/** Returns the app's variables as its next start sees them. @throws RefusedError where they are not known. */
export async function storedVariables(toolbox: Toolbox): Promise<ReadonlyMap<string, string>> {
  const { backend } = toolbox
  if (backend.config === undefined) throw lacks(backend, 'config', 'way to the variables of the app')
  return backend.config.stored()
}

/**
 * Returns the variables as lines that a shell reads back exactly. dotenv reads them too, but for a value that holds a
 * single quote together with a double one, `$`, a backtick or a backslash. A name that no shell takes becomes a comment.
 */
export function envText(variables: ReadonlyMap<string, string>): string {
  const names = [...variables.keys()].sort()
  return names.map(name => `${line(name, variables.get(name) ?? '')}\n`).join('')
}

function line(name: string, value: string): string {
  if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) return `# ${JSON.stringify(name)}: ${JSON.stringify(value)}`
  return `${name}=${quoted(value)}`
}

function quoted(value: string): string {
  if (PLAIN.test(value)) return value
  if (!value.includes("'")) return `'${value}'`
  return /["$`\\]/.test(value) ? `'${value.replaceAll("'", `'\\''`)}'` : `"${value}"`
}
