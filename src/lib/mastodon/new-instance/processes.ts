import { sidekiqMajors } from '../queues.js'
import type { MastodonVersion } from '../version.js'

/** The oldest release that a new instance is made with. */
export const OLDEST_FOR_SETUP = '4.2.0'

export function isForSetup(version: MastodonVersion): boolean {
  return version.atLeast(OLDEST_FOR_SETUP)
}

/** What a process of the app runs, and the command that tells whether it is well, in a shell inside of its container. */
export interface ProcessShape {
  /** The last name of its image. */
  image: 'mastodon' | 'mastodon-streaming'
  command: string
  healthCommand: string
}

/** From 4.3.0 on the server that streams is in an image of its own (77c055b78c). */
function hasOwnStreaming(version: MastodonVersion): boolean {
  return version.atLeast('4.3.0')
}

/** curl stands in the images from 4.3.0 on, wget in those before (Dockerfile); one of the two is enough. */
function answers(version: MastodonVersion, address: string): string {
  const curl = `curl -sf -o /dev/null --noproxy localhost ${address}`
  return version.atLeast('4.3.0') ? curl : `wget -q --spider --proxy=off ${address} || ${curl}`
}

/** Returns the processes of a release. Source: docker-compose.yml and Dockerfile @v4.2.0 to @v4.7.0. */
export function processShapes(version: MastodonVersion): Record<'web' | 'streaming' | 'sidekiq', ProcessShape> {
  const own = hasOwnStreaming(version)
  const majors = sidekiqMajors(version)
  const major = majors.length > 1 ? `[${majors.join('')}]` : String(majors[0] ?? '')
  return {
    web: {
      image: 'mastodon',
      // `rails s`, as 4.2 had it, leaves a file behind when it is killed, and does not start again while that is there.
      command: 'bundle exec puma -C config/puma.rb',
      healthCommand: answers(version, 'http://localhost:3000/health'),
    },
    streaming: {
      image: own ? 'mastodon-streaming' : 'mastodon',
      command: own ? 'node ./streaming/index.js' : 'node ./streaming',
      healthCommand: answers(version, 'http://localhost:4000/api/v1/streaming/health'),
    },
    sidekiq: {
      image: 'mastodon',
      command: 'bundle exec sidekiq',
      // The brackets keep the search from finding itself.
      healthCommand: `ps aux | grep -q '[s]idekiq ${major}'`,
    },
  }
}
