import { PassThrough } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import type { DiskSpace } from '../../../src/lib/backends/backend.js'
import { Output } from '../../../src/lib/output.js'
import { refuseWithoutRoom, whileRoom } from '../../../src/lib/postgres/room.js'
import { noteUnseen, roomUnseen } from '../../../src/lib/runbooks/replace/room.js'
import type { Toolbox } from '../../../src/lib/toolbox.js'
import { stepContext } from '../../support/step-context.js'
import { toolboxOf } from '../../support/toolbox-of.js'

const FULL: DiskSpace = { place: 'database', path: '/var/lib/postgresql', freeBytes: 1, totalBytes: 2 }
const ROOMY = { ...FULL, freeBytes: 1e12, totalBytes: 2e12 }

/** Returns a toolbox whose database's disk shows this, one look after the other, and then the last of it for ever. */
function withDisk(...shown: (DiskSpace | Error)[]) {
  const stderr = new PassThrough()
  let looks = 0
  const disk = async () => {
    const found = shown[Math.min(looks++, shown.length - 1)]
    if (found instanceof Error) throw found
    return found ? [found] : []
  }
  const made = toolboxOf({})
  const backend = { ...made.backend, storage: { volumes: async () => [], disk } } as unknown as Toolbox['backend']
  const toolbox = { ...made, backend, output: new Output({ stderr: stderr as never }) }
  return { toolbox, said: () => String(stderr.read() ?? ''), looks: () => looks }
}

const BLIND = new Error('df: no such container')

describe('room for a second database', () => {
  it('is not held to be lacking where it cannot be seen, which is said', async () => {
    const { toolbox, said } = withDisk(BLIND)
    await refuseWithoutRoom(toolbox, 1e9)
    expect(said()).toContain('how much is free cannot be seen: df: no such container')
    await expect(refuseWithoutRoom(withDisk(FULL).toolbox, 1e9)).rejects.toMatchObject({ code: 'no-room' })
  })

  it('is looked for on, where a look failed; that is said once, and noted for the result', async () => {
    const { toolbox, said, looks } = withDisk(BLIND, BLIND, ROOMY)
    const notes: Record<string, string> = {}
    const context = stepContext(toolbox, { notes })
    const work = async () => {
      while (looks() < 3) await sleep(20)
      return 'restored'
    }
    expect(await whileRoom(toolbox, 'new', work, noteUnseen(context))).toBe('restored')
    expect(await whileRoom(withDisk(BLIND).toolbox, 'new', async () => 'merged', noteUnseen(context))).toBe('merged')
    expect(said().match(/no such container/g)).toHaveLength(1)
    expect(roomUnseen(key => notes[key])).toBe('df: no such container')
    expect(roomUnseen(() => undefined)).toBeNull()
  })
})
