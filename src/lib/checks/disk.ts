import type { DiskSpace } from '../backends/backend.js'
import { humanBytes } from '../text.js'
import { bad, type Check, type Finding, notApplicable, notHere, ok, warn } from './check.js'

/** Shares of the disk that must be free. A server that cannot write its log stops. */
const LEAST = { bad: 0.05, warn: 0.15 }

export const disk: Check = {
  id: 'disk',
  title: 'There is room on the disks',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.storage === undefined) return notHere(toolbox, 'disk')
    return judge(await toolbox.backend.storage.disk())
  },
}

/** Returns the finding on the fullest disk. */
export function judge(disks: readonly DiskSpace[]): Finding {
  const [fullest] = [...disks].sort((a, b) => freeShare(a) - freeShare(b))
  if (fullest === undefined) return notApplicable('No disk of this instance can be looked at.')
  const text = `${humanBytes(fullest.freeBytes)} of ${humanBytes(fullest.totalBytes)} are free for the ${fullest.place}.`
  const fix = 'mstdn-ops media:remove --days 7 (cached remote media), mstdn-ops rows (what fills the database)'
  if (freeShare(fullest) < LEAST.bad) return bad(text, fix)
  return freeShare(fullest) < LEAST.warn ? warn(text, fix) : ok(text)
}

function freeShare({ freeBytes, totalBytes }: DiskSpace): number {
  return totalBytes === 0 ? 1 : freeBytes / totalBytes
}
