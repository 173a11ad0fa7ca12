import { Args } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import type { JournalEvent } from '../../lib/runbook/journal.js'
import { chosenInstance, type RunStory, runStory } from '../../lib/runs/story.js'
import { tableLayout } from '../../lib/tables.js'
import { humanDuration } from '../../lib/text.js'

export default class RunsShow extends OpsCommand<RunStory> {
  static override summary = 'Show one run: its steps, what happened when, and what was said.'
  static override examples = ['<%= config.bin %> <%= command.id %> 20261122-051234-9f3a']
  static override args = {
    id: Args.string({ required: true, description: 'the id of the run, as `runs` lists it' }),
  }

  protected override async execute(): Promise<RunStory> {
    const { args } = await this.parse(RunsShow)
    return runStory(await chosenInstance(() => this.toolbox(), this.output), args.id)
  }

  protected override async render(story: RunStory): Promise<string> {
    const layOut = await tableLayout()
    const code = story.exitCode === null ? '' : `, exit code ${story.exitCode}`
    const steps = layOut(
      [
        { title: 'STEP', value: (step: RunStory['steps'][0]) => step.id },
        { title: 'STATE', value: step => step.state },
      ],
      story.steps,
      this.output.columns,
    )
    const said = story.log.trim() === '' ? [] : ['', 'Said:', ...story.log.trim().split('\n').map(indent)]
    return [
      `Run ${story.id}: ${story.runbook} on ${story.title}`,
      `Started ${story.at} by ${story.user} on ${story.host}, took ${humanDuration(story.seconds)}, ended: ${story.ended}${code}.`,
      ...(story.ended === 'unfinished' ? ['Go on with it: mstdn-ops resume'] : []),
      `Options: ${JSON.stringify(story.options)}`,
      '',
      steps,
      '',
      'Events:',
      ...story.events.map(event => indent(eventText(event))),
      ...said,
    ].join('\n')
  }
}

function eventText(event: JournalEvent): string {
  const words = {
    run: () => 'begun',
    forward: () => 'resumed',
    step: (each: JournalEvent & { event: 'step' }) =>
      `${each.step}: ${each.state}${each.reason ? ` (${each.reason})` : ''}`,
    note: (each: JournalEvent & { event: 'note' }) => `noted ${each.key}: ${each.value}`,
    undo: (each: JournalEvent & { event: 'undo' }) => `going back: ${each.reason}`,
    end: (each: JournalEvent & { event: 'end' }) => `ended: ${each.end}, exit code ${each.exitCode}`,
  }
  const told = words[event.event] as (each: JournalEvent) => string
  return `${event.at.slice(11, 23)}  ${told(event)}`
}

function indent(line: string): string {
  return `  ${line}`
}
