import { ROLES } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { newSecrets } from '../../mastodon/new-secrets.js'
import { secretsOf } from '../../mastodon/secrets.js'
import type { Runbook, Step, StepContext } from '../../runbook/step.js'
import { trademarkWarning } from '../../setup/answers.js'
import { type Answers, QUESTIONS } from '../../setup/questions.js'
import type { Toolbox } from '../../toolbox.js'
import { schemaStep, siteStep, usedSince } from './database.js'
import type { SetupOptions, SetupResult } from './options.js'
import { ownerStep } from './owner.js'
import { proxyBlocks } from './proxy.js'
import { foundingOf, refuseOther } from './standing.js'

/**
 * Makes an instance where none is: files, images, database, tables, owner, processes. Each step leaves alone what
 * stands, so that a second run over the same instance does nothing.
 *
 * @param secret the answers that are secrets; without them (in `resume`) the files cannot be written, all else can
 */
export function setupRunbook(secret: Answers = {}): Runbook<SetupOptions, SetupResult> {
  return {
    name: 'setup',
    check: refuseOther,
    steps: async (_toolbox, options) => stepsOf(options, secret),
    result: describe,
  }
}

function stepsOf({ answers }: SetupOptions, secret: Answers): Step[] {
  return [
    asideStep(answers),
    filesStep(answers, secret),
    imagesStep(answers),
    serversStep(answers),
    mediaStep(answers),
    schemaStep(),
    siteStep(answers),
    appStep(answers),
    // Last, so that hardly anything can come between the password and its being shown.
    ownerStep(answers),
  ]
}

/** Only with --replace: without it, whatever is there was refused. */
function asideStep(answers: Answers): Step {
  return {
    id: 'aside',
    title: 'Give the files that are there another name',
    effect: 'write',
    needed: async ({ toolbox }) => {
      const { files, isSame } = await foundingOf(toolbox).standing(answers)
      return (files.length > 0 && !isSame) || 'there are none in the way'
    },
    run: async ({ toolbox, runId, note }) => {
      await foundingOf(toolbox).setAside(runId)
      await note('aside', foundingOf(toolbox).kept(runId).join('\n'))
    },
    undo: ({ toolbox, runId }) => foundingOf(toolbox).putBack(runId),
  }
}

function filesStep(answers: Answers, secret: Answers): Step {
  return {
    id: 'files',
    title: 'Write the files, with secrets made here',
    effect: 'write',
    needed: async ({ toolbox, dryRun }) => {
      const { files, isSame } = await foundingOf(toolbox).standing(answers)
      return files.length === 0 || (dryRun && !isSame) || 'they stand as answered'
    },
    done: async ({ noted }) => noted('files') === 'written',
    run: context => writeFiles(context, answers, secret),
    undo: ({ toolbox }) => foundingOf(toolbox).unwrite(),
  }
}

/** A half-written state was used by nobody: its secrets may be made anew. */
async function writeFiles(context: StepContext, answers: Answers, secret: Answers): Promise<void> {
  const { toolbox } = context
  refuseUnknownSecrets({ ...answers, ...secret })
  for (const [id, value] of Object.entries(secret)) toolbox.output.redactor.add(id, value)
  const secrets = newSecrets(secretsOf(await toolbox.app.version()), new Map())
  await foundingOf(toolbox).write({ ...answers, ...secret }, secrets)
  await context.note('files', 'written')
}

function refuseUnknownSecrets(answers: Answers): void {
  const isAsked = (each: (typeof QUESTIONS)[number]) => each.secret && (each.when?.(answers) ?? true)
  const unknown = QUESTIONS.filter(each => isAsked(each) && !answers[each.id]).map(({ id }) => id)
  if (unknown.length === 0) return
  throw new RefusedError({
    code: 'secrets-gone',
    message: `The answers to ${unknown.join(', ')} are not known any more.`,
    cause: 'They are secrets, and died with the process that was told them.',
    next: 'Run mstdn-ops setup again with the same answers: it goes on with this run.',
  })
}

function imagesStep(answers: Answers): Step {
  return {
    id: 'images',
    title: 'Fetch the images',
    effect: 'write',
    needed: async ({ toolbox }) => (await foundingOf(toolbox).missing(answers)).length > 0 || 'they are here',
    run: async ({ toolbox, progress }) => {
      const founding = foundingOf(toolbox)
      await founding.fetch(await founding.missing(answers), progress)
    },
    // Images harm nobody, and the next attempt needs them.
    undo: async () => undefined,
  }
}

/** What it makes is removed by its undo with all data, so it is noted before that there was nothing. */
function serversStep(answers: Answers): Step {
  return {
    id: 'servers',
    title: 'Start the database and Redis',
    effect: 'write',
    needed: async ({ toolbox, dryRun }) =>
      dryRun || !(await foundingOf(toolbox).runs(answers, 'servers')) || 'they run already',
    run: async context => {
      const founding = foundingOf(context.toolbox)
      if (context.noted('fresh') === undefined) {
        const { remains } = await founding.standing(answers)
        await context.note('fresh', remains.length === 0 ? 'yes' : 'no')
      }
      await founding.start(answers, 'servers')
    },
    undo: async ({ toolbox, noted }) => {
      if (noted('fresh') === 'yes') await foundingOf(toolbox).remove(answers)
    },
  }
}

function mediaStep(answers: Answers): Step {
  return {
    id: 'media',
    title: "Give the folder of uploaded files to the app's user",
    effect: 'write',
    needed: async ({ noted, dryRun }) => {
      if (answers.media !== 'local') return 'they are kept in a bucket'
      return dryRun || noted('fresh') === 'yes' || 'it was given before'
    },
    run: ({ toolbox }) => foundingOf(toolbox).giveMedia(answers),
    undo: async () => undefined,
  }
}

function appStep(answers: Answers): Step {
  return {
    id: 'app',
    title: 'Start Mastodon, and wait until it is well',
    effect: 'write',
    needed: async ({ toolbox, dryRun }) =>
      dryRun || !(await foundingOf(toolbox).runs(answers, 'app')) || 'it runs already',
    run: ({ toolbox }) => foundingOf(toolbox).start(answers, 'app'),
    undo: async ({ toolbox }) => toolbox.backend.processes?.stop(ROLES),
    inUse: ({ toolbox }) => usedSince(toolbox),
  }
}

async function describe(
  toolbox: Toolbox,
  { answers }: SetupOptions,
  noted: (key: string) => string | undefined,
): Promise<SetupResult> {
  const { CHECKS, runChecks } = await import('../../checks/index.js')
  const found = await runChecks(toolbox, CHECKS)
  const bad = found.filter(({ state }) => state === 'bad' || state === 'warn')
  const trademark = trademarkWarning(answers)
  const founding = foundingOf(toolbox)
  return {
    domain: answers.domain ?? '',
    release: answers.release ?? '',
    where: founding.where,
    owner: answers.owner ?? '',
    role: noted('role') ?? null,
    made: ['files', 'fresh', 'schema', 'owner'].some(key => noted(key) !== undefined),
    kept: (noted('aside') ?? '').split('\n').filter(Boolean),
    findings: bad.map(({ id, state, message, fix }) => ({ id, state, message, ...(fix === undefined ? {} : { fix }) })),
    warnings: trademark === undefined ? [] : [trademark],
    proxy: proxyBlocks(answers),
  }
}
