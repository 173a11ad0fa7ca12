import { join } from 'node:path'
import { settingStatements } from '../postgres/scratch.js'
import { shellLine } from '../text.js'
import type { BackupFile, DatabaseTraits, FilePart } from './manifest.js'

/** Returns the line that makes such a dump by hand; of one that is not made yet only the beginning is known. */
export function dumpLine(folder: string, file: BackupFile | undefined, recipient: string | null): string {
  const isZstd = file?.compression === 'zstd'
  const pipes = [
    ['pg_dump', '-Fc', ...(isZstd ? ['-Z0'] : [])],
    ...(isZstd ? [['zstd', '-c']] : []),
    ...(recipient === null ? [] : [['age', '-r', recipient]]),
  ]
  const name = file?.name ?? `database.dump${recipient === null ? '' : '.age'}`
  return `${pipes.map(shellLine).join(' | ')} > ${shellLine([join(folder, name)])}`
}

/** Returns the lines that restore the database with plain tools, from inside of the backup's folder. */
export function byHandLines(file: BackupFile, traits: DatabaseTraits, version: number): string[] {
  const { owner, encoding, collate, ctype } = traits
  const create = ['createdb', '-T', 'template0', '-O', owner, '-E', encoding, ...providerWords(traits)]
  const restore = ['pg_restore', '--no-owner', `--role=${owner}`, '-d', 'NEW_DATABASE']
  const opened = [
    ...(file.encrypted ? [shellLine(['age', '-d', '-i', 'IDENTITY', file.name])] : []),
    ...(file.compression === 'zstd' ? [file.encrypted ? 'zstd -dc' : shellLine(['zstd', '-dc', file.name])] : []),
  ]
  const last = shellLine(opened.length > 0 ? restore : [...restore, file.name])
  return [
    `# PostgreSQL ${Math.floor(version / 10_000)} or newer, with the role ${owner}`,
    shellLine([...create, `--lc-collate=${collate}`, `--lc-ctype=${ctype}`, 'NEW_DATABASE']),
    ...settingStatements('NEW_DATABASE', traits).map(sql => shellLine(['psql', '-d', 'NEW_DATABASE', '-c', sql])),
    [...opened, last].join(' | '),
    shellLine(['vacuumdb', '--analyze-only', '-d', 'NEW_DATABASE']),
  ]
}

/** A dump as it lies on this machine. */
export interface PackedDump {
  path: string
  encrypted: boolean
  packing: 'none' | 'gzip' | 'zstd'
}

/** Returns the line that opens a dump and sends it through programs; beside PostgreSQL, and the dump is here. */
export function pouredLine({ path, encrypted, packing }: PackedDump, ...programs: readonly string[][]): string {
  const opened = encrypted ? ['age', '-d', '-i', 'IDENTITY', path] : undefined
  const [first = '', ...others] = [...UNPACKED[packing], ...programs].map(shellLine)
  const begun = opened === undefined ? [`${first} < ${shellLine([path])}`] : [shellLine(opened), first]
  return [...begun, ...others].join(' | ')
}

const UNPACKED: Readonly<Record<PackedDump['packing'], readonly string[][]>> = {
  none: [],
  gzip: [['gunzip', '-c']],
  zstd: [['zstd', '-dc']],
}

/** Returns the words by which pg_restore fills an empty database. */
export function restoreWords(database: string): string[] {
  return ['pg_restore', '--no-owner', '--no-acl', '--exit-on-error', '-d', database]
}

/** createdb has these from 15 on, the builtin provider's from 17 on: a database has such a provider from then on only. */
function providerWords({ provider, icuLocale }: DatabaseTraits): string[] {
  if (provider === 'libc' || icuLocale === null) return []
  return [`--locale-provider=${provider}`, `--${provider}-locale=${icuLocale}`]
}

/** Returns the lines that put the files beside the database back with plain tools. */
export function partLines(files: readonly BackupFile[]): string[] {
  return files.flatMap(({ part, name, encrypted }) => {
    const opened = encrypted ? `${shellLine(['age', '-d', '-i', 'IDENTITY', name])} |` : `< ${shellLine([name])}`
    return PARTS[part]?.map(line => line.replace('OPENED', opened)) ?? []
  })
}

const PARTS: Readonly<Partial<Record<FilePart, readonly string[]>>> = {
  media: ['# the media, as the app’s user, into PAPERCLIP_ROOT_PATH', 'OPENED tar -C public/system -xof -'],
  redis: ['# Redis’ dump, while it is stopped (CONFIG GET dir, dbfilename); appendonly no', 'OPENED cat > dump.rdb'],
  secrets: ['# the app’s variables', 'OPENED cat > .env.production'],
}
