import { plural } from '../../text.js'
import type { Need } from './needs/need.js'
import type { UpgradeNote } from './notes.js'
import type { UpgradePlan, UpgradeStep } from './plan.js'
import type { RetiredSetting } from './settings.js'

/** What is missing stands in the way, or comes with the upgrade. */
const MISSING = { before: '✘', made: '+', switch: '+' } as const
const WHEN = { before: 'Before', after: 'After', know: 'To know' } as const

/** Returns the plan as text for people, in lines of at most `width` columns; what is to be copied stays on one line. */
export function planText(plan: UpgradePlan, width = 80): string {
  const blocks = [heading(plan), ...plan.steps.map((step, at) => stepLines(step, at)), passedLines(plan)]
  const later = [needLines(plan.needs), settingLines(plan.settings), ...noteBlocks(plan.notes), refusalLines(plan)]
  return [...blocks, ...later]
    .filter(lines => lines.length > 0)
    .map(lines => lines.flatMap(line => wrapped(line, width)).join('\n'))
    .join('\n\n')
}

/** A line that hangs: what goes on in the next line stands under its text. */
interface Line {
  head: string
  text: string
}

const plain = (text: string): Line => ({ head: '', text })

function heading({ from, to, ref, steps, newer, supportEnds, refusals }: UpgradePlan): Line[] {
  const what = `Mastodon ${from} to ${to}`
  const head =
    steps.length > 0
      ? `${what}: ${plural(steps.length, 'release')} to deploy${inTurn(steps)}.`
      : refusals.length > 0
        ? `${what}: refused.`
        : `Mastodon ${from} is installed: nothing to do.`
  const ends = supportEnds === null ? [] : [plain(`Support of its series ends on ${supportEnds}.`)]
  return [
    plain(head),
    ...(ref ? [plain(refText(ref, to))] : []),
    ...(newer === null ? [] : [plain(newerText(newer))]),
    ...ends,
  ]
}

function refText({ name, commit }: NonNullable<UpgradePlan['ref']>, to: string): string {
  return `${name} (${commit.slice(0, 12)}) is no release. Its code calls itself ${to}, and is taken for that: what it has besides is not known here.`
}

function inTurn(steps: readonly UpgradeStep[]): string {
  return steps.length === 1 ? '' : `, one after the other: ${steps.map(({ to }) => to).join(', ')}`
}

function newerText({ release, security }: NonNullable<UpgradePlan['newer']>): string {
  const fixes = security.length === 0 ? '' : `; security problems are fixed in ${security.join(', ')}`
  return `${release} is the newest of its series that is known here${fixes}.`
}

function stepLines(step: UpgradeStep, at: number): Line[] {
  const { from, to, why, phases, pointOfNoReturn, images } = step
  const way = { none: 'a restart', two: 'two phases', single: 'single phase' }[phases.mode]
  const rows: [string, string][] = [
    ...(why === null ? [] : [['Why here', why] as [string, string]]),
    ['Migrations', migrationText(step)],
    ['Way', `${way}. ${phases.why}`],
    ['Way back', wayBack(pointOfNoReturn)],
    ...(images === null ? [] : [['Images', imageText(images)] as [string, string]]),
    ...(step.verified ? [] : [['Seen', NOT_SEEN] as [string, string]]),
  ]
  return [plain(`${at + 1}. ${from} to ${to}`), ...rows.map(row)]
}

/** The point of no return, as what it means. */
function wayBack(point: UpgradeStep['pointOfNoReturn']): string {
  if (point === null) return 'at any time: the old release can serve again.'
  return `until the ${point} begin. From then on: restoring the backup.`
}

const NOT_SEEN = 'This patch release was not looked at; it is expected to be like its neighbours.'
const row = ([name, text]: readonly [string, string]): Line => ({ head: `   ${name.padEnd(10)}  `, text })

function migrationText({ migrations: { total, post } }: UpgradeStep): string {
  if (total === 0) return 'none'
  const posts = post === null ? '' : post === 0 ? ', none of them post-deployment' : `, ${post} of them post-deployment`
  return total === null ? `not counted${posts}` : `${total}${posts}`
}

function imageText({ app, streaming }: NonNullable<UpgradeStep['images']>): string {
  return app === streaming ? app : `${app} ${streaming}`
}

function passedLines({ passed }: UpgradePlan): Line[] {
  if (passed.length === 0) return []
  const text =
    `Passed over: ${passed.join(', ')}. Mastodon's documentation advises one release of each minor; its own tests ` +
    'go straight. To stop at one, name it by --to.'
  return [plain(text)]
}

const AT = { before: '', made: ', made by the upgrade', switch: ', at the switch' } as const

function needLines(needs: readonly Need[]): Line[] {
  if (needs.length === 0) return []
  return [plain('Needs'), ...needs.flatMap(oneNeed)]
}

function oneNeed({ met, what, release, found, when, commands }: Need): Line[] {
  const at = met === true ? '' : AT[when]
  const mark = met === true ? '✔' : met === false ? MISSING[when] : '?'
  const head = { head: `  ${mark} `, text: `${what} (${release}${at}): ${found ?? 'not seen'}` }
  return [head, ...commands.map(text => ({ head: met === 'unknown' ? '    if not → ' : '    → ', text }))]
}

function settingLines(settings: readonly RetiredSetting[]): Line[] {
  if (settings.length === 0) return []
  const lines = settings.map(({ name, since, instead, stillRead }) => {
    const fate = instead === undefined ? 'has no effect any more' : `is called ${instead}`
    return { head: '  - ', text: `${name} ${fate} (${since})${stillRead ? '; the old name is still read' : ''}.` }
  })
  return [plain('Variables that are set'), ...lines]
}

function noteBlocks(notes: readonly UpgradeNote[]): Line[][] {
  return (['before', 'know', 'after'] as const).map(when => {
    const fitting = notes.filter(note => note.when === when)
    const lines = fitting.map(({ release, text }) => ({ head: `  ${release}  `, text }))
    return lines.length === 0 ? [] : [plain(WHEN[when]), ...lines]
  })
}

function refusalLines({ refusals }: UpgradePlan): Line[] {
  if (refusals.length === 0) return []
  const lines = refusals.flatMap(({ message, next }) => [
    { head: '  ✘ ', text: message },
    ...next.split('\n').map(text => ({ head: '    → ', text })),
  ])
  return [plain('In the way'), ...lines]
}

/** A line for a shell, which would be another one in two pieces. */
const FOR_A_SHELL = /^(openssl|mstdn-ops) /

function wrapped({ head, text }: Line, width: number): string[] {
  if (FOR_A_SHELL.test(text)) return [head + text]
  const room = Math.max(20, width - head.length)
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const last = lines.at(-1)
    if (last !== undefined && last.length + 1 + word.length <= room) lines[lines.length - 1] = `${last} ${word}`
    else lines.push(word)
  }
  return lines.map((line, at) => (at === 0 ? head : ' '.repeat(head.length)) + line)
}
