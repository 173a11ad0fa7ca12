import type { RedisDatabase } from './access.js'

/**
 * What Redis remembers of a file of saved jobs, changed in the same moment as the jobs themselves: which queues and sets
 * were removed, and how far the file was put back. If Redis loses its data, it loses both.
 */
export interface JobsMemory {
  /** Names of keys, without the prefix. */
  dropped: ReadonlySet<string>
  /** Jobs of the file that were gone through. */
  replayed: number
}

/** Seconds: 90 days. */
export const REMEMBERED = 90 * 86_400

const DROPPED = 'dropped:'

export function memoryKey(redis: RedisDatabase, id: string): string {
  return redis.key(`mstdn-ops:jobs:${id}`)
}

/** Returns the field that tells that the queue or set was removed. */
export function droppedField(name: string): string {
  return DROPPED + name
}

export async function readMemory(redis: RedisDatabase, id: string): Promise<JobsMemory> {
  const key = memoryKey(redis, id)
  const fields = (await redis.read('HKEYS', key)) as string[]
  const dropped = fields.filter(field => field.startsWith(DROPPED)).map(field => field.slice(DROPPED.length))
  return { dropped: new Set(dropped), replayed: Number(await redis.read('HGET', key, 'replayed')) }
}
