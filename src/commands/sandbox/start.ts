import { Flags } from '@oclif/core'
import { sandboxDir } from '../../lib/backends/direct/sandbox/index.js'
import { sandboxState, startSandbox } from '../../lib/backends/direct/sandbox/server.js'
import { OpsCommand } from '../../lib/base-command.js'
import { resolveInstance } from '../../lib/instance.js'
import { Ledger } from '../../lib/ledger.js'
import { Runner } from '../../lib/runner.js'
import { isOnPath } from '../../lib/status/programs.js'

interface SandboxStarted {
  dir: string
  /** The Mastodon release that its database is shaped as. */
  release: string
  state: 'started' | 'ran already' | 'would start'
  redis: boolean
  /** What is optional and missing, a sentence each. */
  missing: string[]
}

export default class SandboxStart extends OpsCommand<SandboxStarted> {
  static override summary = 'Start a small PostgreSQL with a demonstration Mastodon database: nothing else is needed.'
  static override description =
    'The servers listen on this machine only, go on until sandbox:stop, and keep their data. A Redis is started where redis-server is installed.'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> --statuses 100000',
  ]
  static override flags = {
    statuses: Flags.integer({ min: 1, max: 10_000_000, helpValue: 'N', summary: 'How many posts a new sandbox gets.' }),
  }

  protected override async execute(): Promise<SandboxStarted> {
    const { flags } = await this.parse(SandboxStart)
    const dir = sandboxDir(await resolveInstance({ instance: flags.instance, backend: 'sandbox' }))
    const before = await sandboxState({ dir })
    if (flags['dry-run']) return wouldStart(dir, before)
    if (flags.statuses !== undefined && before.state !== 'absent') {
      this.output.warn(
        'The sandbox has its data already: --statuses counts for a new one. mstdn-ops sandbox:stop --delete removes it.',
      )
    }
    if (before.state === 'absent') this.output.info('Making the database and its demonstration data …')
    const runner = new Runner({ output: this.output, ledger: new Ledger() })
    const size = flags.statuses === undefined ? {} : { size: { statuses: flags.statuses } }
    const { release, redisAbsent } = await startSandbox({ dir, runner, ...size })
    const state = before.state === 'running' ? 'ran already' : 'started'
    return { dir, release, state, redis: redisAbsent === undefined, missing: await missing(redisAbsent) }
  }

  protected override render({ dir, release, state, missing }: SandboxStarted): string {
    const verb = { started: 'runs', 'ran already': 'runs already', 'would start': 'would be started' }[state]
    const next = [
      'Try it (or export MSTDN_OPS_BACKEND=sandbox, and leave --backend out):',
      '  mstdn-ops status --backend sandbox',
      '  mstdn-ops accounts:disable-2fa alice --backend sandbox',
    ]
    return [`The sandbox ${verb}, shaped as Mastodon ${release}, in ${dir}.`, ...missing, ...next].join('\n')
  }
}

function wouldStart(dir: string, before: Awaited<ReturnType<typeof sandboxState>>): SandboxStarted {
  const release = before.state === 'absent' ? 'of today' : before.release
  const state = before.state === 'running' ? 'ran already' : 'would start'
  return { dir, release, state, redis: before.state === 'running' && before.redis, missing: [] }
}

async function missing(redisAbsent: string | undefined): Promise<string[]> {
  const withoutRedis =
    redisAbsent && `${redisAbsent} Optional: without it the commands about jobs and feeds are refused.`
  const psql = (await isOnPath('psql')) ? undefined : 'No psql was found on PATH. Optional: only db:psql needs it.'
  return [withoutRedis, psql].filter(line => line !== undefined)
}
