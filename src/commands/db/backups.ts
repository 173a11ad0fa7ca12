import type { BackupLine, BackupOverview } from '../../lib/backups/overview.js'
import { OpsCommand } from '../../lib/base-command.js'
import { tableLayout } from '../../lib/tables.js'
import { humanBytes, humanDuration, plural, printableLine } from '../../lib/text.js'

export default class Backups extends OpsCommand<BackupOverview> {
  static override summary = 'List the backups: how old, how large, how they were proven.'
  static override description =
    'Works while the instance is down. What was not decoded, or failed when it was looked at again, is not proven.'
  static override examples = ['<%= config.bin %> <%= command.id %>', '<%= config.bin %> <%= command.id %> --json']

  protected override async execute(): Promise<BackupOverview> {
    const { flags } = await this.parse(Backups)
    const { overviewHere } = await import('../../lib/backups/here.js')
    return overviewHere(() => this.toolbox(), { ...flags, projectDir: flags['project-dir'] }, this.output)
  }

  protected override async render({ dir, bytes, backups, broken, onDatabaseDisk }: BackupOverview): Promise<string> {
    const problems = broken.map(({ path, problem }) => `Not a backup: ${path}: ${printableLine(problem)}`)
    if (backups.length === 0)
      return [`There is no backup in ${dir}: mstdn-ops db:backup makes one.`, ...problems].join('\n')
    const layOut = await tableLayout()
    const bad = backups.filter(({ proven }) => !proven).map(({ name, verified }) => unprovenText(name, verified))
    return [
      layOut(columnsFor(backups), backups, this.output.columns),
      '',
      `${[plural(backups.length, 'backup'), humanBytes(bytes), secrecy(backups)].filter(Boolean).join(', ')}, in ${dir}.`,
      diskText(onDatabaseDisk),
      ...bad,
      ...problems,
    ].join('\n')
  }
}

/** A column that would say the same in every line is left out. */
function columnsFor(backups: readonly BackupLine[]) {
  const domains = new Set(backups.map(({ domain }) => domain))
  const labelled = backups.some(({ label }) => label !== null)
  const right = 'right' as const
  return [
    { title: 'BACKUP', value: ({ name }: BackupLine) => name },
    { title: 'AGE', value: ({ age }: BackupLine) => (age < 0 ? 'future' : humanDuration(age)), align: right },
    { title: 'SIZE', value: ({ bytes }: BackupLine) => humanBytes(bytes), align: right },
    { title: 'VERSION', value: ({ mastodon }: BackupLine) => mastodon },
    { title: 'VERIFIED', value: verifiedText },
    { title: 'DRILLED', value: ({ drilledAt }: BackupLine) => drilledAt?.slice(0, 10) ?? 'never' },
    ...(secrecy(backups) === undefined ? [{ title: 'ENCRYPTED', value: encryptedText }] : []),
    ...(labelled ? [{ title: 'LABEL', value: ({ label }: BackupLine) => label ?? '' }] : []),
    ...(domains.size > 1 ? [{ title: 'DOMAIN', value: ({ domain }: BackupLine) => domain }] : []),
  ]
}

function encryptedText({ recipient }: BackupLine): string {
  return recipient === null ? 'no' : 'yes'
}

/** Returns whether they are encrypted, in words, where they are all the same. */
function secrecy(backups: readonly BackupLine[]): string | undefined {
  const found = new Set(backups.map(encryptedText))
  if (found.size > 1) return undefined
  return found.has('yes') ? 'encrypted' : 'not encrypted'
}

/** The day is told where it is another than that of the backup. */
function verifiedText({ proven, at, verified }: BackupLine): string {
  if (!proven) return 'not proven'
  const day = verified.at.slice(0, 10)
  return at.startsWith(day) ? verified.level : `${verified.level} ${day}`
}

function unprovenText(name: string, { at, why, ok }: BackupLine['verified']): string {
  if (ok) return `${name} is not proven: mstdn-ops db:verify ${name}`
  return `${name} is not proven: looked at ${at.slice(0, 10)}. ${printableLine(why ?? '')}`
}

function diskText(onDatabaseDisk: boolean | null): string {
  if (onDatabaseDisk === null) return 'Whether they are on another disk than the database is not known.'
  if (!onDatabaseDisk) return 'They are on another disk than the database.'
  return 'They are on the same disk as the database: one broken disk takes both. Copy them elsewhere, too (db:backup --after-command).'
}
