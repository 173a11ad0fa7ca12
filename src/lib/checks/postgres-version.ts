import { requirements } from '../mastodon/releases.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'

export const postgresVersion: Check = {
  id: 'postgres-version',
  title: 'PostgreSQL is new enough',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.postgres === undefined) return notHere(toolbox, 'PostgreSQL')
    const version = await toolbox.app.version()
    const needed = requirements(version)?.server.postgres
    const number = await (await toolbox.database()).serverVersionNum()
    if (needed === undefined)
      return notApplicable(`What Mastodon ${version} needs is not recorded; this is ${text(number)}.`)
    if (number >= needed.number) return ok(`${text(number)}; Mastodon ${version} needs ${needed.text}.`)
    const fix = `Upgrade PostgreSQL to ${needed.text} or later: dump, new server, restore.`
    return bad(`PostgreSQL is ${text(number)}, and Mastodon ${version} needs ${needed.text}.`, fix)
  },
}

/** 150018 is 15.18; 90624 is 9.6.24. */
function text(number: number): string {
  if (number >= 100_000) return `${Math.floor(number / 10_000)}.${number % 10_000}`
  return `${Math.floor(number / 10_000)}.${Math.floor(number / 100) % 100}.${number % 100}`
}
