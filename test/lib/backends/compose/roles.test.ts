import { describe, expect, test } from 'vitest'
import { imageName, imageTag, isMastodonImage, rolesOf } from '../../../../src/lib/backends/compose/roles.js'

const shape = (name: string, image: string, command = '') => ({
  name,
  image,
  command: command.split(' ').filter(Boolean),
})

describe('image references', () => {
  test.each([
    ['ghcr.io/mastodon/mastodon:v4.5.3', 'mastodon', 'v4.5.3'],
    ['localhost:5000/mastodon', 'mastodon', 'latest'],
    ['tootsuite/mastodon:v3.5.3@sha256:aa', 'mastodon', 'v3.5.3'],
    ['ghcr.io/mastodon/mastodon-streaming@sha256:aa', 'mastodon-streaming', 'sha256:aa'],
    ['postgres:14-alpine', 'postgres', '14-alpine'],
  ])('%s', (reference, name, tag) => {
    expect([imageName(reference), imageTag(reference)]).toEqual([name, tag])
    expect(isMastodonImage(reference)).toBe(name.startsWith('mastodon'))
  })
})

describe('roles', () => {
  test('of a stack since 4.3', () => {
    const services = [
      shape('db', 'postgres:14-alpine', 'postgres'),
      shape('web', 'ghcr.io/mastodon/mastodon:v4.5.3', 'bundle exec puma -C config/puma.rb'),
      shape('streaming', 'ghcr.io/mastodon/mastodon-streaming:v4.5.3', 'node ./streaming/index.js'),
      shape('sidekiq', 'ghcr.io/mastodon/mastodon:v4.5.3', 'bundle exec sidekiq'),
    ]
    expect(rolesOf(services)).toEqual({ web: ['web'], sidekiq: ['sidekiq'], streaming: ['streaming'] })
  })

  test('of an old stack, with split queues and a one-shot migration', () => {
    const image = 'gargron/mastodon:v1.5.1'
    const services = [
      shape('app', image, 'bundle exec rails s -p 3000 -b 0.0.0.0'),
      shape('stream', image, 'npm run start'),
      shape('jobs-a', image, 'bundle exec sidekiq -q default'),
      shape('jobs-b', image, 'bundle exec sidekiq -q push'),
      shape('migrate', image, 'bundle exec rails db:migrate'),
    ]
    expect(rolesOf(services)).toEqual({ web: ['app'], sidekiq: ['jobs-a', 'jobs-b'], streaming: ['stream'] })
  })

  test('another application’s Sidekiq is none of ours', () => {
    const services = [shape('web', 'x/mastodon', 'puma'), shape('shop-jobs', 'x/shop', 'bundle exec sidekiq')]
    expect(rolesOf(services).sidekiq).toEqual([])
  })

  test('of images built under other names the command tells', () => {
    expect(rolesOf([shape('web', 'town-web', 'bundle exec puma')]).web).toEqual(['web'])
  })

  test('of images without a command in the configuration the name tells', () => {
    expect(rolesOf([shape('my-web', 'x/mastodon')]).web).toEqual(['my-web'])
  })

  test('configured ones win', () => {
    expect(rolesOf([shape('a', 'x/mastodon', 'puma')], { web: ['b', 'c'] }).web).toEqual(['b', 'c'])
  })
})
