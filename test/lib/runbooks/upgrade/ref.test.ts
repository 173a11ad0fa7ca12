import { describe, expect, test } from 'vitest'
import type { ReleaseBuild } from '../../../../src/lib/backends/release-build.js'
import { planText } from '../../../../src/lib/mastodon/upgrade/text.js'
import { plannedTo } from '../../../../src/lib/runbooks/upgrade/planned.js'
import { refNamed } from '../../../../src/lib/runbooks/upgrade/ref.js'
import { versionFile } from '../../../e2e/compose/bed/images.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const COMMIT = 'c'.repeat(40)

/** An app whose checkout has these names of git, each with what its version.rb holds. */
function built(names: Record<string, string> = {}) {
  const find: ReleaseBuild['find'] = async name => {
    const text = names[name]
    return text === undefined ? undefined : { name, commit: COMMIT, versionFile: text }
  }
  const build = { find } as ReleaseBuild
  return toolboxOf({ version: '4.3.8', releases: { current: async () => undefined, build } })
}

const refusal = (...words: Parameters<typeof refNamed>) =>
  refNamed(...words).then(
    () => undefined,
    (error: unknown) => error,
  )

describe('a name of git', () => {
  test.each([undefined, '4.5.3', 'v4.5.3', '9.9.9'])('is not %s', async to => {
    expect(
      await refNamed(built({ 'v4.5.3': versionFile('4.5.3'), '9.9.9': versionFile('4.5.3') }), to, undefined),
    ).toBe(undefined)
  })

  test.each(['stable-4.5', COMMIT, 'v4.5.3+town', 'v4.5.3-ours'])('%s counts as the release of its code', async to => {
    const toolbox = built({ [to]: versionFile('4.5.3') })
    expect(await refNamed(toolbox, to, undefined)).toEqual({ name: to, commit: COMMIT, version: '4.5.3' })
  })

  test('that looks like a release is refused as one where it is none', async () => {
    expect(await refNamed(built(), 'v4.5.3+town', undefined)).toBeUndefined()
  })

  test('is refused where it leads nowhere, says nothing, or is of the installed release', async () => {
    const toolbox = built({ main: versionFile('4.3.8'), other: '# nothing\n' })
    const code = (name: string) => expect.objectContaining({ code: name, exitCode: 3 })
    expect(await refusal(toolbox, 'nothing\u001b[1m', undefined)).toEqual(code('unknown-release'))
    expect(await refusal(toolbox, 'other', undefined)).toEqual(code('ref-without-version'))
    expect(await refusal(toolbox, 'main', undefined)).toEqual(code('ref-of-installed-release'))
    expect(await refusal(toolbox, 'main', '/no/such/folder')).toMatchObject({ code: 'no-such-checkout', exitCode: 2 })
  })

  test('is no release, which the plan says', async () => {
    const plan = await plannedTo(built(), { name: 'ours', commit: COMMIT, version: '4.7.0-alpha.1' })
    expect(plan.refusals).toMatchObject([{ code: 'pre-release' }])
    expect(planText({ ...plan, refusals: [] })).toContain('ours (cccccccccccc) is no release.')
  })

  test('means nothing for images, unless they are built', async () => {
    const releases = { current: async () => undefined, change: {} as never }
    const error = await refusal(toolboxOf({ version: '4.3.8', releases }), 'main', undefined)
    expect(error).toMatchObject({ code: 'unknown-release', next: expect.stringContaining('checkout main') })
  })
})
