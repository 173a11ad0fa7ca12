import { humanDuration, plural, printableLine } from '../../text.js'
import type { StepBack } from '../diff.js'

const WIDTH = 80

/**
 * Returns for people what going back means: what vanishes, what comes back, what is lost. Lines of at most 80 columns;
 * the empty text where nothing changed since the backup.
 */
export function stepBackText(diff: StepBack): string {
  const parts: [string, string[]][] = [
    ['These vanish here and live on elsewhere:', vanishing(diff)],
    ['These come back:', returning(diff)],
    ['These are lost:', lost(diff)],
    ['Not compared:', diff.notCompared.map(name => `${printableLine(name)}.`)],
  ]
  const told = parts.filter(([, items]) => items.length > 0)
  if (told.length === 0) return ''
  const sections = told.map(([title, items]) => [title, ...items.flatMap(item => wrapped(item))].join('\n'))
  return [heading(diff), ...sections].join('\n\n')
}

function heading({ takenAt, newestRow, ageSeconds }: StepBack): string {
  if (ageSeconds === null) return 'Going back, it is not known how far.'
  const age = humanDuration(ageSeconds)
  if (takenAt !== null) return `Going back by ${age}, to ${moment(takenAt)}.`
  return `Going back by ${age} at most: its newest row is of ${moment(newestRow ?? '')}.`
}

function vanishing({ posts: { written }, boosts, relations: { follows, followers } }: StepBack): string[] {
  return [
    ...some(written.count, n => `${plural(n, 'post')}${times(written)}; ${open(written)}. ${NOT_DELETED}`),
    ...some(boosts.made, n => `${plural(n, 'boost')}.`),
    ...some(follows.made, n => `${plural(n, 'follow')} by people here: the other side still counts them.`),
    ...some(
      followers.made,
      n => `${plural(n, 'follow')} of people here by others, who will receive nothing and not be told.`,
    ),
  ]
}

const NOT_DELETED = 'Nobody can delete them from here afterwards.'

function times({ oldest, newest }: StepBack['posts']['written']): string {
  if (oldest === null || newest === null) return ''
  if (oldest === newest) return `, written at ${moment(oldest)}`
  return `, written from ${moment(oldest)} to ${moment(newest)}`
}

function open({ count, open: federated }: StepBack['posts']['written']): string {
  if (federated === 0) return 'none is public or unlisted'
  if (federated === count) return count === 1 ? 'it is public or unlisted' : 'all are public or unlisted'
  return `${federated} of them ${federated === 1 ? 'is' : 'are'} public or unlisted`
}

function returning({ posts, boosts, accounts, twoFactor, relations }: StepBack): string[] {
  const { follows, followers } = relations
  return [
    ...some(posts.deleted, n => `${plural(n, 'post')} that ${was(n)} deleted: here again for all who could see them.`),
    ...some(boosts.takenBack, n => `${plural(n, 'boost')} that ${was(n)} taken back.`),
    ...some(accounts.deleted, n => `${plural(n, 'account')} that ${was(n)} deleted, with what people had put there.`),
    ...some(accounts.suspended, n => `${plural(n, 'account')} that ${was(n)} suspended.`),
    ...some(accounts.reinstated, n => `The suspension of ${plural(n, 'account')}, which was lifted.`),
    ...some(
      twoFactor.turnedOff,
      n => `Two-factor authentication of ${people(n)} who turned it off and may not have the codes any more.`,
    ),
    ...listed('removed', relations),
    ...some(follows.removed, n => `${plural(n, 'follow')} by people here, which other servers do not have any more.`),
    ...some(followers.removed, n => `${plural(n, 'follow')} of people here by others, who have ended it.`),
  ]
}

function lost(diff: StepBack): string[] {
  const { signUps, passwords, emails, twoFactor, roles, relations } = diff
  return [
    ...some(signUps.count, n => `${plural(n, 'sign-up')}, ${signUps.confirmed} of them confirmed.`),
    ...some(passwords, n => `New passwords of ${people(n)}: the old ones are valid again.`),
    ...some(emails, n => `New e-mail addresses of ${people(n)}.`),
    ...some(twoFactor.turnedOn, n => `Two-factor authentication of ${people(n)}: it is off again.`),
    ...some(roles ?? 0, n => `Changed roles of ${people(n)}: they have the old ones again.`),
    ...listed('made', relations),
    ...some(relations.reports.made, n => `${plural(n, 'report')}.`),
    ...some(relations.moderation.made, n => `What ${plural(n, 'action')} of moderators did, and the log of it.`),
  ]
}

const BLOCKS = [
  ['blocks', 'block'],
  ['mutes', 'mute'],
  ['peoplesDomainBlocks', 'server blocked by people here'],
  ['serversDomainBlocks', 'server blocked or limited for all'],
] as const

/** Blocks and the like in one sentence. */
function listed(which: 'made' | 'removed', relations: StepBack['relations']): string[] {
  const counts = BLOCKS.filter(([id]) => relations[id][which] > 0).map(([id, name]) =>
    plural(relations[id][which], name, name.replace(/^\w+/, '$&s')),
  )
  const [only] = counts
  if (only === undefined) return []
  return [`${sentence(counts)}${which === 'removed' ? ', lifted since' : ', made since'}.`]
}

function sentence(parts: readonly string[]): string {
  const last = parts.at(-1) ?? ''
  return parts.length < 2 ? last : `${parts.slice(0, -1).join(', ')} and ${last}`
}

function some(count: number, item: (count: number) => string): string[] {
  return count > 0 ? [item(count)] : []
}

function was(count: number): string {
  return count === 1 ? 'was' : 'were'
}

function people(count: number): string {
  return plural(count, 'person', 'people')
}

/** `2026-03-01 02:00 UTC`. */
function moment(iso: string): string {
  const at = new Date(iso)
  return Number.isNaN(at.getTime()) ? 'an unknown time' : `${at.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** Lines of an item of a list. */
function wrapped(item: string): string[] {
  const lines = ['-']
  for (const word of item.split(' ')) {
    const last = lines.at(-1) ?? ''
    if (last.length + 1 + word.length > WIDTH) lines.push(`  ${word}`)
    else lines[lines.length - 1] = `${last} ${word}`
  }
  return lines
}
