import { Flags } from '@oclif/core'
import { ChangeCommand } from '../../lib/base-command.js'
import { type DropResult, dropNamespace, namespaceOf } from '../../lib/runbooks/redis/drop-namespace.js'
import { durationOf } from '../../lib/sizes.js'
import { plural } from '../../lib/text.js'

export default class RedisDropNamespace extends ChangeCommand<DropResult> {
  static override summary = 'Give the keys in Redis names without REDIS_NAMESPACE, and take the variable out.'
  static override description =
    'From 4.4.0 on Mastodon does not start while REDIS_NAMESPACE is set. Nothing serves meanwhile; jobs, feeds and ' +
    'statistics stay. Where a search is set up, ES_PREFIX gets the former namespace, so that its indexes are found.\n' +
    'Refused where keys of a Mastodon without a namespace are in the same Redis database.'
  static override examples = ['<%= config.bin %> <%= command.id %> --dry-run', '<%= config.bin %> <%= command.id %>']
  static override flags = {
    drain: Flags.string({
      helpValue: 'TIME',
      default: '60s',
      summary: 'How long Sidekiq may work its queues off before it is stopped.',
    }),
  }

  protected override async execute() {
    const { flags } = await this.parse(RedisDropNamespace)
    const drainSeconds = Math.round(durationOf('--drain', flags.drain) / 1000)
    return this.change(dropNamespace, { namespace: await namespaceOf(await this.toolbox()), drainSeconds })
  }

  protected override achieved({ namespace, keys, stoppedFor, where, searchPrefix }: DropResult): string {
    if (namespace === '') return 'REDIS_NAMESPACE is not set: there is nothing to do.'
    const stopped = stoppedFor === null ? [] : [`Mastodon stood still for ${(stoppedFor / 1000).toFixed(1)} s.`]
    const search = searchPrefix ? [`ES_PREFIX is ${namespace} now, so that the search finds its indexes.`] : []
    const lines = [`${plural(keys, 'key')} lost the prefix ${namespace}: and REDIS_NAMESPACE is out of ${where}.`]
    return [...lines, ...search, ...stopped].join('\n')
  }
}
