import { expect, test } from 'vitest'
import { notStarted } from '../../../../src/lib/backends/heroku/not-started.js'
import { startFakeApi } from './fake-api.js'

test('the one-offs that are in the way are named, also where the list does not say since when', async () => {
  const dyno = { name: 'run.7', type: 'run', command: 'rake', state: 'up' }
  const api = await startFakeApi({
    'GET /dynos': [dyno, { ...dyno, name: 'run.8', created_at: '2026-01-02T03:04:05Z' }],
  })
  try {
    const error = await notStarted(api.app, 'rake', 'Cannot run more than 1 Free size dynos.')
    expect(error.why).toContain('run.7 since an unknown time: rake')
    expect(error.why).toContain('run.8 since 2026-01-02T03:04:05.000Z: rake')
    expect(error.next).toContain('heroku ps:stop --app a --dyno-name run.7')
  } finally {
    api.stop()
  }
})
