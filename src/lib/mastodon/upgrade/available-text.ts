import { tableLayout } from '../../tables.js'
import type { Availability, AvailableRelease } from './available.js'

/** Returns for people which releases are newer, or that none is. */
export async function availableText({ installed, available, problem }: Availability, columns: number): Promise<string> {
  const table = problem === null ? [] : ['The list of the project was not had:', `  ${problem}.`, FROM_TABLE]
  const known = problem === null ? '' : ' that this mstdn-ops knows'
  if (available.length === 0) return [`Mastodon ${installed} is the newest release${known}.`, ...table].join('\n')
  const fixes = available.some(({ security }) => security) ? ', with fixes of security problems' : ''
  const releases = (await tableLayout())(COLUMNS, available, columns)
  const notes = notesOf(available)
  return [`Newer than Mastodon ${installed}${fixes}:`, ...table, '', releases, ...notes, '', NEXT].join('\n')
}

/** Beside the table, for an address that is cut off leads nowhere. */
function notesOf(available: readonly AvailableRelease[]): string[] {
  const lines = available.flatMap(({ version, notes }) => (notes === null ? [] : [`  ${version}  ${notes}`]))
  return lines.length === 0 ? [] : ['', 'Release notes:', ...lines]
}

const FROM_TABLE = 'So this is what this version of mstdn-ops knew when it was made.'
const NEXT = 'What an upgrade would be: mstdn-ops upgrade --to VERSION --dry-run'
const SECURITY = new Map<boolean | null, string>([
  [true, 'yes'],
  [false, 'no'],
  [null, 'not known'],
])
const COLUMNS = [
  { title: 'RELEASE', value: ({ version }: AvailableRelease) => version },
  { title: 'KIND', value: ({ kind }: AvailableRelease) => kind },
  { title: 'SECURITY', value: ({ security }: AvailableRelease) => SECURITY.get(security) ?? '' },
  { title: 'SUPPORT ENDS', value: ({ supportEnds }: AvailableRelease) => supportEnds ?? 'not known' },
]
