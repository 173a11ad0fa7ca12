import type { Volume } from '../backends/backend.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'

export const volumes: Check = {
  id: 'volumes',
  title: 'The data outlive their containers',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.storage === undefined) return notHere(toolbox, 'storage')
    const all = await toolbox.backend.storage.volumes()
    if (all.length === 0) return notApplicable('No data are kept in this project.')
    const loose = all.filter(({ kind }) => kind === 'anonymous' || kind === 'none')
    if (loose.length === 0) return ok(all.map(({ place, kind, name }) => `${place}: ${kind} ${name}`).join('; '))
    const [first] = loose.sort((a, b) => weight(a) - weight(b))
    return bad(`${loose.map(looseText).join(' ')} They are lost when the container is made anew.`, fixOf(first))
  },
}

const WEIGHTS: Readonly<Record<Volume['place'], number>> = { database: 0, media: 1, redis: 2 }

function weight({ place }: Volume): number {
  return WEIGHTS[place]
}

function looseText({ place, path, kind }: Volume): string {
  const where = kind === 'none' ? "inside of its container's own file system" : 'in an anonymous volume'
  return `The ${place} data (${path}) are ${where}.`
}

function fixOf(volume: Volume | undefined): string {
  const { place, path } = volume ?? { place: 'database', path: '' }
  const first = place === 'database' ? 'Make a dump first (pg_dump). ' : 'Copy the data out first (mstdn-ops cp). '
  return `${first}Then give the service a volume in the compose file, like ./${place}:${path}, and bring it up anew.`
}
