import { Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { UsageError } from '../../lib/errors.js'
import { lacks } from '../../lib/open-toolbox.js'
import { renderReport } from '../../lib/report.js'
import type { RunReport } from '../../lib/runbook/run.js'
import { readRedis, redisCommand, replyText } from '../../lib/runbooks/db/redis-command.js'
import type { SentResult } from '../../lib/runbooks/db/sent-once.js'

type Cli = { reply: unknown } | RunReport<SentResult> | { closed: number }

export default class RedisCli extends OpsCommand<Cli> {
  static override summary = "Open redis-cli on the instance's Redis, or send one command."
  static override description =
    'Without words the terminal is redis-cli. A command that only reads is sent at once; any other needs --write, and ' +
    'is recorded among the runs. Keys are written whole, with their namespace where there is one.'
  static override usage = '<%= command.id %> [--write] [-- COMMAND…]'
  static override examples = [
    '<%= config.bin %> <%= command.id %>',
    '<%= config.bin %> <%= command.id %> -- LLEN queue:default',
    '<%= config.bin %> <%= command.id %> --write -- DEL some:key',
  ]
  static override strict = false
  static override flags = {
    write: Flags.boolean({ summary: 'The command may write.' }),
  }

  protected override async execute(): Promise<Cli> {
    const { argv, flags } = await this.parse(RedisCli)
    const words = argv as string[]
    if (words.length === 0) return this.#open()
    if (flags.write) return this.change(redisCommand, { words })
    return { reply: await readRedis(await this.toolbox(), words) }
  }

  async #open(): Promise<Cli> {
    if (!this.said.interactive) throw noTerminal()
    const toolbox = await this.toolbox()
    const { redis } = toolbox.backend
    if (redis === undefined) throw lacks(toolbox.backend, 'redis', 'Redis')
    const closed = await toolbox.runner.interactive(await redis.cli([]))
    this.passThrough(closed)
    return { closed }
  }

  protected override render(result: Cli): string {
    if ('closed' in result) return ''
    return 'steps' in result ? renderReport(result, ({ reply }) => reply) : replyText(result.reply)
  }
}

function noTerminal(): UsageError {
  return new UsageError({
    code: 'no-terminal',
    message: 'redis-cli needs a terminal, and no --json.',
    next: 'Give one command: mstdn-ops redis:cli -- PING',
  })
}
