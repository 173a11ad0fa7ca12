import type { Built } from '../../backends/release-build.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { buildOf, type DeployOptions } from './deploy-options.js'

/** Under this key a run notes what was in force before. */
export const FORMER = 'former'

/** Pushes the sources; what is built of them is in force at once. Taken back, the former code is, with the settings of now. */
export function pushStep({ from, to, sources }: DeployOptions): Step {
  const { commit } = sources
  const isThere = async ({ toolbox }: StepContext) => {
    await buildOf(toolbox).untilOver()
    const found = await buildOf(toolbox).isInForce(commit)
    if (found) toolbox.app.forget()
    return found
  }
  return {
    id: 'push',
    title: `Push ${to} to the platform, which builds it and puts it in the place of ${from}`,
    effect: 'write',
    done: isThere,
    run: async context => {
      const { toolbox, noted, note, progress } = context
      const build = buildOf(toolbox)
      if (noted(FORMER) === undefined) await note(FORMER, JSON.stringify(await build.inForce()))
      if (!context.dryRun) await build.untilOver()
      await build.push(sources, progress)
      toolbox.app.forget()
    },
    settle: async context => ((await isThere(context)) ? 'done' : 'not done'),
    undo: async ({ toolbox, noted, runId }) => {
      const former = noted(FORMER)
      if (former === undefined) return
      const build = buildOf(toolbox)
      await build.untilOver()
      await build.goBack(JSON.parse(former) as Built, `${runId}-back`)
      toolbox.app.forget()
    },
  }
}
