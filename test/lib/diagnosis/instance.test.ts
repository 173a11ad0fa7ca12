import { expect, test } from 'vitest'
import { containersFrom } from '../../../src/lib/backends/compose/containers.js'
import { lookAtInstance } from '../../../src/lib/diagnosis/instance.js'
import { Tally } from '../../../src/lib/diagnosis/tally.js'
import { ownState } from '../../support/own-state.js'
import { toolboxOf } from '../../support/toolbox-of.js'

ownState()

/** What docker 20.10 says of a container that was given 60 MB, and asked for 500. */
const ENDED = `{"Status":"exited","Running":false,"Paused":false,"Restarting":false,"OOMKilled":true,"Dead":false,"Pid":0,
  "ExitCode":137,"Error":"","StartedAt":"2026-11-22T23:03:46.767958366Z","FinishedAt":"2026-11-22T23:03:48.767958366Z"}`

test('a process that was ended for want of memory is told apart from one that was stopped by force', async () => {
  const state = JSON.parse(ENDED) as object
  const list = [
    { Name: '/killed', State: state },
    { Name: '/stopped', State: { ...state, OOMKilled: false } },
  ]
  const processes = containersFrom(JSON.stringify(list)).map(({ name, outOfMemory }) => ({
    ...({ id: name, name, role: 'sidekiq', state: 'stopped' } as const),
    ...(outOfMemory ? { outOfMemory: true as const } : {}),
  }))
  const tally = new Tally()
  await lookAtInstance(toolboxOf({ processes }), 10, tally)
  const found = tally.found.find(({ problem }) => problem.id === 'out-of-memory')
  expect(found?.places).toMatchObject([
    { source: 'its state', count: 1, text: expect.stringContaining('killed was ended') },
  ])
})
