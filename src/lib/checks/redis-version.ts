import { requirements } from '../mastodon/releases.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'

export const redisVersion: Check = {
  id: 'redis-version',
  title: 'Redis is new enough',
  for: ['upgrade'],
  run: async toolbox => {
    if (toolbox.backend.redis === undefined) return notHere(toolbox, 'Redis')
    const version = await toolbox.app.version()
    const needed = requirements(version)?.server.redis
    const found = /^redis_version:(\S+)/m.exec(String(await (await toolbox.redis()).read('INFO', 'server')))?.[1]
    if (found === undefined) return notApplicable('The server does not tell its version.')
    if (needed === undefined) return notApplicable(`What Mastodon ${version} needs is not recorded; this is ${found}.`)
    if (isAtLeast(found, needed)) return ok(`${found}; Mastodon ${version} needs ${needed}.`)
    return bad(
      `Redis is ${found}, and Mastodon ${version} needs ${needed}.`,
      `Change the image of the redis service to ${needed} or later.`,
    )
  },
}

function isAtLeast(found: string, needed: string): boolean {
  const [a, b] = [found, needed].map(text => text.split('.').map(part => Number.parseInt(part, 10) || 0))
  for (let at = 0; at < 3; at += 1) {
    const difference = (a?.[at] ?? 0) - (b?.[at] ?? 0)
    if (difference !== 0) return difference > 0
  }
  return true
}
