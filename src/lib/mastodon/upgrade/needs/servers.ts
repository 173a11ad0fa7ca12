import coerce from 'semver/functions/coerce.js'
import gte from 'semver/functions/gte.js'
import satisfies from 'semver/functions/satisfies.js'
import { type Requirements, requirements } from '../../releases.js'
import { type Need, type NeedsOf, needOf } from './need.js'

/** PostgreSQL 14.0 to 14.3 may damage indexes. Source: release notes of 4.3.0. */
const DAMAGING = { since: '4.3.0', from: 140_000, to: 140_003 } as const

/** Returns the minima of PostgreSQL and Redis. They only grow: what the target asks for, the stops before it have too. */
export const serverNeeds: NeedsOf = ({ to }, { servers }) => {
  const asked = requirements(to)
  if (asked === undefined) return []
  const release = to.toString()
  const damages = to.atLeast(DAMAGING.since)
  const found = [postgres(asked, servers.postgres, damages), redis(asked, servers.redis)]
  return found.flatMap(need => (need === undefined ? [] : [needOf({ ...need, release })]))
}

/** Returns the ranges of Ruby and Node.js, where a release does not bring its own. */
export const programNeeds: NeedsOf = ({ to }, { runtimes }) => {
  const asked = requirements(to)
  if (asked === undefined || runtimes === 'shipped') return []
  const found = [ruby(asked, runtimes?.ruby), node(asked, runtimes?.node)]
  return found.flatMap(need => (need === undefined ? [] : [needOf({ ...need, release: to.toString() })]))
}

type Asked = Omit<Need, 'release'>

function postgres({ server }: Requirements, number: number | null, damages: boolean): Asked | undefined {
  if (server.postgres === undefined) return undefined
  const bad = damages && number !== null && number >= DAMAGING.from && number <= DAMAGING.to
  const wanted = bad ? '14.4' : server.postgres.text
  return {
    ...{ id: 'postgres', when: 'before', source: server.source },
    what: `PostgreSQL ${server.postgres.text} or newer${damages ? ', but not 14.0 to 14.3' : ''}`,
    met: number === null ? 'unknown' : number >= server.postgres.number && !bad,
    found: number === null ? null : `PostgreSQL ${postgresText(number)}`,
    commands: [
      `Upgrade PostgreSQL to ${wanted} or newer: a backup (mstdn-ops db:backup), a new server, the backup restored into it.`,
    ],
  }
}

/** 150018 is 15.18; 90624 is 9.6.24. */
function postgresText(number: number): string {
  const [major, rest] = [Math.floor(number / 10_000), number % 10_000]
  return number >= 100_000 ? `${major}.${rest}` : `${major}.${Math.floor(rest / 100)}.${rest % 100}`
}

function redis({ server }: Requirements, found: string | null): Asked | undefined {
  if (server.redis === undefined) return undefined
  return {
    ...{ id: 'redis', when: 'before', source: server.source },
    what: `Redis ${server.redis} or newer`,
    met: found === null ? 'unknown' : isAtLeast(found, server.redis),
    found: found && `Redis ${found}`,
    commands: [`Bring Redis to ${server.redis} or newer: where it is a service, change its image and make it anew.`],
  }
}

function isAtLeast(found: string, wanted: string): boolean | 'unknown' {
  const [a, b] = [coerce(found), coerce(wanted)]
  return a === null || b === null ? 'unknown' : gte(a, b)
}

function ruby({ runtime }: Requirements, found: string | null | undefined): Asked {
  return {
    ...{ id: 'ruby', when: 'before', source: 'Gemfile, .ruby-version' },
    what: `Ruby ${runtime.ruby}`,
    met: isWithin(found, runtime.ruby),
    found: found ? `Ruby ${found}` : null,
    commands: [`Install Ruby ${runtime.recommendedRuby}, then: bundle install`],
  }
}

function node({ runtime }: Requirements, found: string | null | undefined): Asked | undefined {
  if (runtime.node === undefined) return undefined
  return {
    ...{ id: 'node', when: 'before', source: 'package.json' },
    what: `Node.js ${runtime.node}`,
    met: isWithin(found, runtime.node),
    found: found ? `Node.js ${found}` : null,
    commands: [`Install a Node.js that is ${runtime.node}, then: yarn install`],
  }
}

/** Ruby's ranges have commas where the others have spaces. */
function isWithin(found: string | null | undefined, range: string): boolean | 'unknown' {
  const version = found ? coerce(found) : null
  return version === null ? 'unknown' : satisfies(version, range.replaceAll(',', ' '))
}
