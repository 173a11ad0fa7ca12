import { describe, expect, it } from 'vitest'
import { type StepBack, stepBackText } from '../../../../src/lib/backups/diff.js'

const none = { made: 0, removed: 0 }

function unchanged(parts: Partial<StepBack> = {}): StepBack {
  return {
    takenAt: '2026-03-01T02:00:00.000Z',
    newestRow: '2026-03-01T01:59:00.000Z',
    ageSeconds: 3 * 86_400,
    posts: { written: { count: 0, open: 0, oldest: null, newest: null }, deleted: 0 },
    boosts: { made: 0, takenBack: 0 },
    signUps: { count: 0, confirmed: 0 },
    accounts: { deleted: 0, suspended: 0, reinstated: 0 },
    passwords: 0,
    emails: 0,
    twoFactor: { turnedOn: 0, turnedOff: 0 },
    roles: 0,
    relations: {
      blocks: none,
      mutes: none,
      peoplesDomainBlocks: none,
      serversDomainBlocks: none,
      follows: none,
      followers: none,
      reports: none,
      moderation: none,
    },
    notCompared: [],
    ...parts,
  }
}

const both = { made: 1234, removed: 1 }
const everything = unchanged({
  posts: {
    written: { count: 1234, open: 7, oldest: '2026-03-01T02:00:30.000Z', newest: '2026-03-04T01:02:03.000Z' },
    deleted: 3,
  },
  boosts: { made: 2, takenBack: 1 },
  signUps: { count: 2, confirmed: 1 },
  accounts: { deleted: 1, suspended: 2, reinstated: 3 },
  passwords: 1,
  emails: 2,
  twoFactor: { turnedOn: 1, turnedOff: 2 },
  roles: 1,
  relations: {
    blocks: both,
    mutes: both,
    peoplesDomainBlocks: both,
    serversDomainBlocks: both,
    follows: both,
    followers: both,
    reports: both,
    moderation: both,
  },
  notCompared: ['roles\u001b[31m'],
})

describe('what a step back means, for people', () => {
  it('is nothing where nothing changed', () => {
    expect(stepBackText(unchanged())).toBe('')
  })

  it('says what vanishes, what comes back and what is lost, in 80 columns', () => {
    const text = stepBackText(everything)
    expect(text).toMatchInlineSnapshot(`
      "Going back by 3 days, to 2026-03-01 02:00 UTC.

      These vanish here and live on elsewhere:
      - 1,234 posts, written from 2026-03-01 02:00 UTC to 2026-03-04 01:02 UTC; 7 of
        them are public or unlisted. Nobody can delete them from here afterwards.
      - 2 boosts.
      - 1,234 follows by people here: the other side still counts them.
      - 1,234 follows of people here by others, who will receive nothing and not be
        told.

      These come back:
      - 3 posts that were deleted: here again for all who could see them.
      - 1 boost that was taken back.
      - 1 account that was deleted, with what people had put there.
      - 2 accounts that were suspended.
      - The suspension of 3 accounts, which was lifted.
      - Two-factor authentication of 2 people who turned it off and may not have the
        codes any more.
      - 1 block, 1 mute, 1 server blocked by people here and 1 server blocked or
        limited for all, lifted since.
      - 1 follow by people here, which other servers do not have any more.
      - 1 follow of people here by others, who have ended it.

      These are lost:
      - 2 sign-ups, 1 of them confirmed.
      - New passwords of 1 person: the old ones are valid again.
      - New e-mail addresses of 2 people.
      - Two-factor authentication of 1 person: it is off again.
      - Changed roles of 1 person: they have the old ones again.
      - 1,234 blocks, 1,234 mutes, 1,234 servers blocked by people here and 1,234
        servers blocked or limited for all, made since.
      - 1,234 reports.
      - What 1,234 actions of moderators did, and the log of it.

      Not compared:
      - roles\\u{1b}[31m."
    `)
    expect(Math.max(...text.split('\n').map(line => line.length))).toBeLessThanOrEqual(80)
  })

  it('tells of one in the singular, and of nothing that did not change', () => {
    const written = { count: 1, open: 1, oldest: '2026-03-02T00:00:00.000Z', newest: '2026-03-02T00:00:00.000Z' }
    const text = stepBackText(unchanged({ posts: { written, deleted: 0 } }))
    expect(text).toMatchInlineSnapshot(`
      "Going back by 3 days, to 2026-03-01 02:00 UTC.

      These vanish here and live on elsewhere:
      - 1 post, written at 2026-03-02 00:00 UTC; it is public or unlisted. Nobody can
        delete them from here afterwards."
    `)
  })

  it.each([
    ['an estimate', { takenAt: null }, 'Going back by 3 days at most: its newest row is of 2026-03-01 01:59 UTC.'],
    ['not known', { takenAt: null, newestRow: null, ageSeconds: null }, 'Going back, it is not known how far.'],
    ['nonsense', { takenAt: 'soon', ageSeconds: null }, 'Going back, it is not known how far.'],
  ])('where the age is %s says so', (_, parts, heading) => {
    expect(stepBackText(unchanged({ ...parts, passwords: 1 })).split('\n')[0]).toBe(heading)
  })
})
