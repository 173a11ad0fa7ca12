import { expect, test } from 'vitest'
import type { AppProcess, ReleaseChange } from '../../../../src/lib/backends/backend.js'
import { runsDir } from '../../../../src/lib/paths.js'
import { Journal, type RunEnd } from '../../../../src/lib/runbook/journal.js'
import type { StepContext } from '../../../../src/lib/runbook/step.js'
import { upgradeBack } from '../../../../src/lib/runbooks/upgrade/back/back.js'
import type { BackOptions } from '../../../../src/lib/runbooks/upgrade/back/options.js'
import {
  bringFormerStep,
  putBackStep,
  runningStep,
  stopStep,
  tidyStep,
} from '../../../../src/lib/runbooks/upgrade/back/steps.js'
import { backText } from '../../../../src/lib/runbooks/upgrade/back/text.js'
import { ownState } from '../../../support/own-state.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const [FORMER, NEWER] = ['4.2.9', '4.3.8']
const OPTIONS: BackOptions = { of: '1', from: NEWER, to: FORMER, images: [], drainSeconds: 1 }

ownState()

interface Files {
  /** The release that the files name. */
  names: string
  /** What is kept, by its key. */
  copies: Record<string, string>
}

/** A run over these files; `did` is what was done to processes, in order. */
function running(files: Files, processes: Partial<AppProcess>[] = []) {
  const did: string[] = []
  const change: Partial<ReleaseChange> = {
    parts: async to => (files.names === to ? [] : [{ name: 'web', from: `town:v${files.names}`, to: `town:v${to}` }]),
    putBack: async key => {
      files.names = files.copies[key] ?? files.names
    },
    forget: async key => void delete files.copies[key],
    bring: async () => void did.push(`start ${files.names}`),
    back: {
      replace: async (of: string, key: string) => {
        files.copies[key] ??= files.names
        files.names = files.copies[of] ?? files.names
      },
    } as unknown as ReleaseChange['back'],
  }
  const releases = { current: async () => undefined, change: change as ReleaseChange }
  const toolbox = toolboxOf({ processes, oneOff: {}, releases, database: { query: async () => [] } })
  Object.assign(toolbox.backend.processes ?? {}, { stop: async (roles: string[]) => void did.push(`stop ${roles}`) })
  const notes = new Map<string, string>()
  const context: StepContext = {
    ...{ toolbox, runId: '2', dryRun: false, stop: new AbortController().signal },
    note: async (key, value) => void notes.set(key, value),
    noted: key => notes.get(key),
    reveal: () => undefined,
    progress: () => undefined,
    lockAgain: async () => undefined,
  }
  return { context, did }
}

test('the files go back and forth, as often as they are asked to', async () => {
  const files = { names: NEWER, copies: { '1-release': FORMER } }
  const { context } = running(files)
  const step = putBackStep(OPTIONS)
  for (const _ of [1, 2]) await step.run(context)
  expect(files.names).toBe(FORMER)
  for (const _ of [1, 2]) await step.undo?.(context)
  expect(files).toEqual({ names: NEWER, copies: { '1-release': FORMER } })
})

test('what is not kept any more is not put back, and that is said', async () => {
  const files: Files = { names: NEWER, copies: { '1-release': FORMER } }
  const { context, did } = running(files)
  await putBackStep(OPTIONS).run(context)
  files.copies = {}
  const back = async () => putBackStep(OPTIONS).undo?.(context)
  await expect(back()).rejects.toMatchObject({ code: 'files-name-former', exitCode: 5 })
  await expect(putBackStep(OPTIONS).run(running({ names: NEWER, copies: {} }).context)).rejects.toMatchObject({
    code: 'former-file-gone',
  })
  expect(did).toEqual([])
})

test('once its copies are being removed, a rollback is gone on with', async () => {
  const { context } = running({ names: FORMER, copies: {} })
  expect(await tidyStep(OPTIONS).inUse?.(context)).toBeDefined()
})

test('the release that the files name is not started on the schema of another', async () => {
  const files = { names: FORMER, copies: { '1-release': FORMER } }
  const { context, did } = running(files)
  await putBackStep(OPTIONS).run(context)
  await putBackStep(OPTIONS).undo?.(context)
  const back = async () => stopStep(OPTIONS).undo?.(context)
  const next = expect.stringContaining(`web: town:v${NEWER}), then mstdn-ops resume --undo`)
  await expect(back()).rejects.toMatchObject({ code: 'files-name-former', exitCode: 5, next })
  expect(did).toEqual(['stop web,sidekiq,streaming'])
  files.names = NEWER
  await back()
  expect(did.at(-1)).toBe(`start ${NEWER}`)
})

test('Sidekiq is another one afterwards, even where it was of the former release', async () => {
  const { context, did } = running({ names: FORMER, copies: {} })
  await bringFormerStep(OPTIONS).run(context)
  expect(did).toEqual(['stop sidekiq', `start ${FORMER}`])
})

test.each([
  ['done', ['web-2', 'sidekiq-1', 'streaming-1']],
  // On its way half of them may have been replaced.
  ['abandoned', ['web-1', 'sidekiq-1', 'streaming-1']],
] as const)('what runs after an upgrade that is %s, and where nothing does, what ran before it', async (end, ids) => {
  await upgradeThatFound(['web', 'sidekiq', 'streaming'], end)
  const now: Partial<AppProcess>[] = [
    { role: 'web', id: 'web-2' },
    { role: 'sidekiq', id: 'sidekiq-2', state: 'stopped' },
  ]
  const { context } = running({ names: NEWER, copies: {} }, now)
  await runningStep(OPTIONS).run(context)
  expect(JSON.parse(context.noted('ran') ?? '').map(({ id }: { id: string }) => id)).toEqual(ids)
})

async function upgradeThatFound(roles: readonly string[], end: RunEnd): Promise<void> {
  const header = { runId: '1', runbook: 'upgrade', options: {}, instance: 'made', title: 'made', toolVersion: '0' }
  const journal = await Journal.create(runsDir('made'), { ...header, stepIds: [], at: '2026-01-01T00:00:00Z' })
  await journal.note('ran', JSON.stringify(roles.map(role => ({ role, name: role, id: `${role}-1` }))))
  await journal.end(end, 0)
  await journal.close()
}

test('a version that is written down for the tool is told to be changed', async () => {
  const { context } = running({ names: FORMER, copies: {} })
  const result = await upgradeBack.result(context.toolbox, OPTIONS, context.noted)
  expect(backText(result)).toMatch(/^Take mastodon_version out of mstdn-ops\.yaml/m)
})
