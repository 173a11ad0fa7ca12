import type { BackupLine, BackupOverview } from '../../lib/backups/overview.js'
import { OpsCommand } from '../../lib/base-command.js'
import { tableLayout } from '../../lib/tables.js'
import { humanBytes, humanDuration, plural, printableLine } from '../../lib/text.js'

export default class Backups extends OpsCommand<BackupOverview> {
  static override summary = 'List the backups: how old, how large, how they were proven.'
  static override description =
    `Works while the instance is down. What was not decoded, or failed when it was looked at again, is not proven; a file
that is missing or has another size is seen here.`
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
    return [
      layOut(columnsAt(Date.now()), backups, this.output.columns),
      '',
      `${[plural(backups.length, 'backup'), humanBytes(bytes), secrecy(backups)].filter(Boolean).join(', ')}, in ${dir}.`,
      diskText(onDatabaseDisk),
      ...notesOn(backups),
      ...problems,
    ].join('\n')
  }
}

/** Names are what other commands take: they must fit whole into 80 columns. */
function columnsAt(now: number) {
  const right = 'right' as const
  const ago = (at: string) => humanDuration(Math.max(0, now - Date.parse(at)) / 1000)
  return [
    { title: 'BACKUP', value: ({ name }: BackupLine) => name },
    { title: 'AGE', value: ({ age }: BackupLine) => (age < 0 ? 'future' : humanDuration(age)), align: right },
    { title: 'SIZE', value: ({ bytes }: BackupLine) => humanBytes(bytes), align: right },
    { title: 'VERSION', value: ({ mastodon }: BackupLine) => mastodon },
    { title: 'VERIFIED', value: (line: BackupLine) => verifiedText(line, ago) },
    { title: 'DRILLED', value: ({ drilledAt }: BackupLine) => (drilledAt === null ? 'never' : ago(drilledAt)) },
  ]
}

/** How long ago is told where it was looked at again. */
function verifiedText({ proven, damage, verified, again }: BackupLine, ago: (at: string) => string): string {
  if (damage !== null) return 'damaged'
  if (!proven) return 'not proven'
  return again ? `${verified.level}, ${ago(verified.at)}` : verified.level
}

/** Returns whether they are encrypted, in words, where they are all the same. */
function secrecy(backups: readonly BackupLine[]): string | undefined {
  const encrypted = backups.filter(({ recipient }) => recipient !== null).length
  if (encrypted === 0) return 'not encrypted'
  return encrypted === backups.length ? 'encrypted' : undefined
}

/** What is not the same of all of them, or seldom there. */
function notesOn(backups: readonly BackupLine[]): string[] {
  const mixed = secrecy(backups) === undefined
  const several = new Set(backups.map(({ domain }) => domain)).size > 1
  return backups.flatMap(({ name, label, recipient, domain, proven, damage, verified }) => [
    ...(label === null ? [] : [`${name} is labelled ${printableLine(label)}.`]),
    ...(mixed && recipient === null ? [`${name} is not encrypted.`] : []),
    ...(several ? [`${name} is of ${printableLine(domain)}.`] : []),
    ...(damage === null ? [] : [`${name} is damaged: ${printableLine(damage)}`]),
    ...(proven || damage !== null ? [] : [unprovenText(name, verified)]),
  ])
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
