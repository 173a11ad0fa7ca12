import { messageOf } from '../../errors.js'
import { supports } from '../../mastodon/catalogue.js'
import type { Step, StepContext } from '../../runbook/step.js'

/**
 * Builds the home feeds anew. The instance serves already, so that a failure is told and takes nothing back.
 */
export function feedsStep(): Step {
  return {
    id: 'feeds',
    title: 'Build the home feeds anew',
    effect: 'write',
    repeatable: true,
    needed: async ({ toolbox }) => {
      if (toolbox.backend.oneOff === undefined || toolbox.backend.redis === undefined)
        return 'it cannot be done from here'
      return (
        supports('feeds.build', await toolbox.app.version()) || 'this release builds them when their owners come back'
      )
    },
    run: buildFeeds,
  }
}

async function buildFeeds(context: StepContext): Promise<void> {
  const { toolbox, runId } = context
  const how = { effect: 'write', longKey: `${runId}-feeds`, onLine: context.progress } as const
  try {
    const outcome = await toolbox.app.run('feeds.build', {}, how)
    if (outcome.verdict === 'failed') throw new Error('Mastodon’s own command failed.')
    await context.note('feeds', 'built')
  } catch (error) {
    toolbox.output.warn(`The home feeds were not built: ${messageOf(error)} Do it with: mstdn-ops feeds:build`)
  }
}
