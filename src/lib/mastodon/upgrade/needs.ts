import type { Leap, Need, NeedsOf } from './needs/need.js'
import { variableNeeds } from './needs/secrets.js'
import { programNeeds, serverNeeds } from './needs/servers.js'
import { queueNeeds, serviceNeeds } from './needs/services.js'
import type { UpgradeSurroundings } from './surroundings.js'

/** What is asked for once, by the target. */
const OF_TARGET: readonly NeedsOf[] = [serverNeeds, queueNeeds]
/** What any release on the way may ask for. */
const OF_EACH: readonly NeedsOf[] = [programNeeds, variableNeeds, serviceNeeds]

/** Returns what the releases on the way ask for, each thing once: the first that is not met, or the last where all are. */
export function needsOf(leaps: readonly Leap[], surroundings: UpgradeSurroundings): readonly Need[] {
  const [first, last] = [leaps[0], leaps.at(-1)]
  if (first === undefined || last === undefined) return []
  const whole = { from: first.from, to: last.to }
  const each = OF_EACH.flatMap(kind => leaps.flatMap(leap => kind(leap, surroundings)))
  return [...OF_TARGET.flatMap(kind => kind(whole, surroundings)), ...onePerThing(each)]
}

function onePerThing(needs: readonly Need[]): readonly Need[] {
  return [...new Set(needs.map(({ id }) => id))].flatMap(id => {
    const same = needs.filter(need => need.id === id)
    const need = same.find(({ met }) => met === false) ?? same.find(({ met }) => met === 'unknown') ?? same.at(-1)
    return need === undefined ? [] : [need]
  })
}
