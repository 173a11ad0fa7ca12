import { readFile } from 'node:fs/promises'
import { Flags } from '@oclif/core'
import { OpsCommand } from '../lib/base-command.js'
import { messageOf, UsageError } from '../lib/errors.js'
import { renderReport } from '../lib/report.js'
import { showOnce } from '../lib/reveal.js'
import type { RunReport } from '../lib/runbook/run.js'
import { goOnOrSetUp } from '../lib/runbooks/setup/go-on.js'
import type { SetupResult } from '../lib/runbooks/setup/options.js'
import { OWNER_PASSWORD } from '../lib/runbooks/setup/owner.js'
import { setupText } from '../lib/runbooks/setup/text.js'
import { answersFile, answersOf, readAnswersFile, type Said, wrongAnswersError } from '../lib/setup/answers.js'
import { QUESTIONS } from '../lib/setup/questions.js'

/** A flag for each question; a secret is read from a file, for every user of the machine sees the words of a command. */
const questionFlags = Object.fromEntries(
  QUESTIONS.map(({ id, ask, why, choices, secret }) => [
    secret ? `${id}-file` : id,
    Flags.string({
      helpGroup: 'ANSWERS',
      helpValue: secret ? 'FILE' : (choices?.join('|') ?? 'TEXT'),
      summary: secret ? `A file with: ${ask}. ${why}` : `${ask}. ${why}`,
    }),
  ]),
)

type Answer = RunReport<SetupResult> | { answers: string }

export default class Setup extends OpsCommand<Answer> {
  static override summary = 'Make a new instance on Docker Compose, with an owner who can sign in.'
  static override description =
    'Writes compose.yaml and .env.production into the folder (-C DIR), with secrets made on this machine, fetches the ' +
    'images, makes the database and the owner, and starts Mastodon. A run that was interrupted goes on when the ' +
    'command is given again. Over the instance of the same answers it does nothing; over another one it refuses.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> -C /srv/mastodon --domain example.social --owner alice --owner-email alice@example.org --dry-run',
    '<%= config.bin %> <%= command.id %> --print-answers --domain example.social > answers.yaml',
    '<%= config.bin %> <%= command.id %> -C /srv/mastodon --answers answers.yaml',
  ]
  static override flags = {
    answers: Flags.string({ helpValue: 'FILE', summary: 'A YAML file with answers; flags win over it.' }),
    'print-answers': Flags.boolean({ summary: 'Print all answers as such a file, and do nothing else.' }),
    replace: Flags.boolean({ summary: 'Give files of another setup that never ran another name.' }),
    ...questionFlags,
  }

  protected override async execute(): Promise<Answer> {
    const { flags } = await this.parse(Setup)
    const { answers, wrong } = answersOf(await said(flags))
    if (flags['print-answers']) return { answers: await answersFile(answers) }
    if (wrong.length > 0) throw wrongAnswersError(wrong)
    this.toBe = { domain: answers.domain ?? '', mastodonVersion: answers.release ?? '' }
    const report = await goOnOrSetUp(await this.toolbox(), { answers, replace: flags.replace })
    const password = report.revealed[OWNER_PASSWORD]
    // Also under --quiet: it is shown now or never.
    if (password !== undefined && !this.jsonEnabled()) showOnce(`${OWNER_PASSWORD}: ${password}`)
    return report
  }

  protected override render(answer: Answer): string {
    return 'answers' in answer ? answer.answers.trimEnd() : renderReport(answer, setupText)
  }
}

/** Returns what the file says, and over it what the flags say. */
async function said(flags: Readonly<Record<string, unknown>> & { answers?: string }): Promise<Said> {
  const { answers: path } = flags
  const read: Record<string, unknown> =
    path === undefined ? {} : { ...(await readAnswersFile(path, await textOf(path))) }
  for (const { id, secret } of QUESTIONS) {
    const flag = flags[secret ? `${id}-file` : id]
    if (typeof flag === 'string') read[id] = secret ? (await textOf(flag)).trimEnd() : flag
  }
  return read
}

async function textOf(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new UsageError({ code: 'file-not-read', message: `${path} cannot be read.`, cause: messageOf(error) })
  }
}
