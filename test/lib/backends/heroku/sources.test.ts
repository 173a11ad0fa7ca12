import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Config } from '../../../../src/lib/backends/backend.js'
import type { HerokuApp } from '../../../../src/lib/backends/heroku/app.js'
import { HerokuBuild } from '../../../../src/lib/backends/heroku/build.js'
import { Git, gitBaseOf } from '../../../../src/lib/backends/heroku/git.js'
import { preparedSources } from '../../../../src/lib/backends/heroku/sources.js'
import type { Sources, SourcesWanted } from '../../../../src/lib/backends/release-build.js'
import { OperatorError } from '../../../../src/lib/errors.js'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { Runner } from '../../../../src/lib/runner.js'
import { must } from '../../../e2e/compose/bed/process.js'
import { makeFork, makeUpstream, pushed, type Repository } from '../../../e2e/heroku/upstream.js'

// Git is started dozens of times in each.
vi.setConfig({ testTimeout: 180_000 })

const FROM = '4.2.9'
const TO = '4.3.8'

let dir: string
let upstream: Repository
let remote: string
function git(): Git {
  const runner = new Runner({ output: new Output({ quiet: true, logLevel: 'error' }), ledger: new Ledger() })
  const login = { baseUrl: 'https://api.heroku.com', token: 'not-to-be-seen' }
  return new Git(join(dir, 'checkout'), { app: 'app', base: () => join(dir, 'heroku'), runner, login })
}

function prepared(
  wanted: Partial<SourcesWanted> = {},
  deployed?: string,
  onProgress: (text: string) => void = () => undefined,
): Promise<Sources> {
  const origins = { git: git(), upstream: upstream.dir, deployed, onProgress }
  return preparedSources(origins, { from: FROM, to: TO, discard: false, ...wanted })
}

async function refusal(work: Promise<unknown>): Promise<OperatorError> {
  const error = await work.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  if (error instanceof OperatorError) return error
  throw new Error('it was not refused', { cause: error })
}

const at = (name: string, folder = join(dir, 'checkout')) =>
  must('git', ['-C', folder, 'rev-parse', '--verify', name]).then(text => text.trim())
const file = (commit: string, path: string) => must('git', ['-C', join(dir, 'checkout'), 'show', `${commit}:${path}`])
const parents = async (commit: string) =>
  (await must('git', ['-C', join(dir, 'checkout'), 'show', '--no-patch', '--format=%P', commit])).trim().split(' ')

describe('the sources of a release', () => {
  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'mstdn-ops-sources-'))
    upstream = await makeUpstream(join(dir, 'upstream'), [FROM, TO, '4.5.3'])
    remote = join(dir, 'heroku', 'app.git')
    await mkdir(join(dir, 'heroku'))
    await must('git', ['init', '--quiet', '--bare', '--initial-branch=main', remote])
  })
  afterEach(() => rm(dir, { recursive: true, force: true }))

  it('hold commits of the own, on top of what the app holds; the same ones each time', async () => {
    const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
    const head = await pushed(remote, fork)
    const sources = await prepared({}, head)
    expect(sources).toMatchObject({ head, branch: 'main', forced: false, discards: false })
    expect(sources.own.map(({ subject }) => subject)).toEqual(['Greet people by name', 'Our own style'])
    expect(await file(sources.commit, 'app/views/home.txt')).toMatch(/^line 1\nours\n.*of 4\.3\.8\n/s)
    expect(await file(sources.commit, 'lib/mastodon/version.rb')).toMatch(/4\n.*3\n.*8\n/s)
    expect(await parents(sources.commit)).toEqual([head, await at(`v${TO}^{commit}`, upstream.dir)])
    expect((await prepared({}, head)).commit).toBe(sources.commit)
  })

  it('are the release itself where there are none of the own', async () => {
    await must('git', ['-C', remote, 'fetch', '--quiet', upstream.dir, `v${FROM}:refs/heads/master`])
    const { commit, own, branch } = await prepared()
    expect({ own, branch }).toEqual({ own: [], branch: 'master' })
    expect(await at(`${commit}^{tree}`)).toBe(await at(`v${TO}^{tree}`, upstream.dir))
  })

  it('stand on what is deployed after an upgrade that was gone back from, and are built anew', async () => {
    const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
    const deployed = await pushed(remote, fork)
    const first = await prepared({}, deployed)
    await must('git', ['-C', remote, 'fetch', '--quiet', join(dir, 'checkout'), `+${first.commit}:refs/heads/main`])
    const second = await prepared({}, deployed)
    expect(second.commit).not.toBe(first.commit)
    expect(second.own).toHaveLength(2)
    expect(await parents(second.commit)).toEqual([first.commit])
    expect(await at(`${second.commit}^{tree}`)).toBe(await at(`${first.commit}^{tree}`))
    const next = await prepared({ from: TO, to: '4.5.3' }, first.commit)
    expect(next.own.map(({ subject }) => subject)).toEqual(['Greet people by name', 'Our own style'])
    expect(await file(next.commit, 'app/views/home.txt')).toMatch(/ours\n.*of 4\.5\.3\n/s)
  })

  it('are refused where both changed the same lines, with lines that mend it', async () => {
    const fork = await makeFork(join(dir, 'fork'), upstream, FROM, true)
    const head = await pushed(remote, fork)
    const { code, why = '', next = '' } = await refusal(prepared({ checkout: fork.dir }, head))
    expect(code).toBe('commits-conflict')
    expect(why).toMatch(/app\/views\/home\.txt.*Greet people by name/s)
    const byHand = next.split('\n').filter(line => line.startsWith('git '))
    expect(byHand).toHaveLength(3)
    await must('sh', ['-c', `{ ${byHand.join('; ')}; } || true`])
    await fork.commit('Both', { 'app/views/home.txt': 'mended\n' })
    const { commit } = await prepared({ checkout: fork.dir }, head)
    expect(commit).toBe(await at('HEAD', fork.dir))
    expect(await file(commit, 'app/views/home.txt')).toBe('mended')
    expect(await file(commit, 'lib/mastodon/version.rb')).toMatch(/4\n.*3\n.*8\n/s)
  })

  it('are the release as it is where the own ones are to be left out, which has to be forced', async () => {
    const fork = await makeFork(join(dir, 'fork'), upstream, FROM, true)
    const head = await pushed(remote, fork)
    const release = await at(`v${TO}^{commit}`, upstream.dir)
    expect(await prepared({ discard: true }, head)).toMatchObject({ commit: release, forced: true, discards: true })
  })

  describe('with --rebase', () => {
    const log = async (tip: string) => {
      const shown = ['log', '--format=%an: %s', `${await at(`v${TO}^{commit}`, upstream.dir)}..${tip}`]
      return (await must('git', ['-C', join(dir, 'checkout'), ...shown])).trim().split('\n')
    }
    const OWN = ['Somebody: Greet people by name', 'Somebody: Our own style']

    it('hold commits of the own on top of the release, joined with what the app holds', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      const head = await pushed(remote, fork)
      const sources = await prepared({ rebase: true }, head)
      expect(sources).toMatchObject({ head, forced: false, discards: false })
      expect(sources.own.map(({ subject }) => subject)).toEqual(['Greet people by name', 'Our own style'])
      const [first, tip = ''] = await parents(sources.commit)
      expect(first).toBe(head)
      expect(await log(tip)).toEqual(OWN)
      expect(await at(`${tip}^{tree}`)).toBe(await at(`${sources.commit}^{tree}`))
      expect(await at(`${tip}^{tree}`)).toBe(await at(`${(await prepared({}, head)).commit}^{tree}`))
      expect((await prepared({ rebase: true }, head)).commit).toBe(sources.commit)
    })

    it('name each of them once at the next upgrade, merged or rebased again', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      const { commit } = await prepared({ rebase: true }, await pushed(remote, fork))
      await must('git', ['-C', remote, 'fetch', '--quiet', join(dir, 'checkout'), `+${commit}:refs/heads/main`])
      for (const rebase of [false, true]) {
        const next = await prepared({ from: TO, to: '4.5.3', rebase }, commit)
        expect(next.own.map(({ subject }) => subject)).toEqual(['Greet people by name', 'Our own style'])
        expect(await file(next.commit, 'app/views/home.txt')).toMatch(/ours\n.*of 4\.5\.3\n/s)
        expect((await parents(next.commit))[0]).toBe(commit)
      }
    })

    it('are those commits alone where the former history is to go, which has to be forced', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      const sources = await prepared({ rebase: true, discard: true }, await pushed(remote, fork))
      expect(sources).toMatchObject({ forced: true, discards: false })
      expect(await log(sources.commit)).toEqual(OWN)
    })

    it('are refused at the first commit that conflicts, with lines by which it goes on', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM, true)
      const head = await pushed(remote, fork)
      const { code, message, why, next = '' } = await refusal(prepared({ rebase: true, checkout: fork.dir }, head))
      expect({ code, why }).toEqual({ code: 'rebase-conflict', why: '  app/views/home.txt' })
      expect(message).toMatch(/Greet people by name cannot be put on top of v4\.3\.8/)
      const byHand = next.split('\n').filter(line => line.startsWith('git '))
      expect(byHand).toHaveLength(3)
      await must('sh', ['-c', `${byHand.join(' && ')} || true`])
      const missing = await refusal(prepared({ rebase: true, checkout: fork.dir }, head))
      expect(missing).toMatchObject({
        code: 'checkout-behind',
        why: expect.stringMatching(/^ {2}\w+ Greet people by name$/),
      })
      await writeFile(join(fork.dir, 'app/views/home.txt'), 'mended\n')
      await fork.git('add', 'app/views/home.txt')
      await fork.git('-c', 'core.editor=true', 'cherry-pick', '--continue')
      const { commit, forced } = await prepared({ rebase: true, checkout: fork.dir }, head)
      expect(forced).toBe(false)
      expect(await parents(commit)).toEqual([head, await at('HEAD', fork.dir)])
      expect(await file(commit, 'app/views/home.txt')).toBe('mended')
    })

    it('name what was done in a merge alone, which no commit brings along', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      await fork.git('checkout', '--quiet', '-b', 'side', 'main~1')
      await fork.commit('Beside it', { 'beside.txt': 'beside\n' })
      await fork.git('checkout', '--quiet', 'main')
      await fork.git('merge', '--quiet', '--no-commit', '--no-ff', 'side')
      await fork.commit('Merge side', { 'only-here.txt': 'by hand\n' })
      const said: string[] = []
      await prepared({ rebase: true }, await pushed(remote, fork), text => said.push(text))
      expect(said.join('\n')).toMatch(/done in merges alone: only-here\.txt$/)
    })
  })

  describe('of a name of git', () => {
    const ref = async (name: string, fork: Repository) => ({ name, commit: await at(name, fork.dir) })

    it('are what it leads to, on top of what the app holds', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      const head = await pushed(remote, fork)
      await fork.git('checkout', '--quiet', '-b', 'next', `v${TO}`)
      const lacking = { ref: await ref('next', fork), checkout: fork.dir }
      const { code, message, next = '' } = await refusal(prepared(lacking, head))
      expect(code).toBe('ref-lacks-commits')
      expect(message).toBe('next lacks 2 commits of your own that the app runs.')
      const without = await prepared({ ...lacking, discard: true }, head)
      expect(without).toMatchObject({ discards: true, forced: false, ref: 'next' })
      expect(await at(`${without.commit}^{tree}`)).toBe(await at(`v${TO}^{tree}`, upstream.dir))
      // Copies do as well.
      await must('sh', ['-c', next.split('\n').slice(0, 2).join(' && ')])
      const tip = await fork.commit('More of our own', { 'more.txt': 'more\n' })
      const sources = await prepared({ ref: await ref('with-own-commits', fork), checkout: fork.dir }, head)
      expect(sources).toMatchObject({ head, discards: false, forced: false })
      expect(sources.own.map(({ subject }) => subject)).toContain('More of our own')
      expect(await parents(sources.commit)).toEqual([head, tip])
    })

    it('are refused where it has other migrations than the release that it calls itself', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      const head = await pushed(remote, fork)
      await fork.git('merge', '--quiet', '--strategy', 'ours', '-m', 'Merge the release', `v${TO}`)
      await fork.commit('A column of our own', { 'db/migrate/20260101000000_own.rb': '# own\n' })
      const refused = await refusal(prepared({ ref: await ref('main', fork), checkout: fork.dir }, head))
      expect(refused).toMatchObject({ code: 'ref-other-migrations', why: '  more: db/migrate/20260101000000_own.rb' })
    })

    it('is looked for in the checkout, which is not touched', async () => {
      const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
      const build = new HerokuBuild({} as HerokuApp, {
        ...{ git: git(), config: {} as Config, upstream: upstream.dir },
        checkout: async () => undefined,
      })
      const tip = await at('main', fork.dir)
      const [found, short] = await Promise.all(['main', tip.slice(0, 9)].map(name => build.find(name, fork.dir)))
      expect(found).toMatchObject({ name: 'main', commit: tip, versionFile: expect.stringContaining('def major') })
      expect(short?.commit).toBe(tip)
      for (const name of ['nothing', '', '--help', '-h', 'main:README'])
        expect(await build.find(name, fork.dir), name).toBeUndefined()
      expect(await build.find('main')).toBeUndefined()
    })
  })

  it('are refused where what runs would be lost, or is not known', async () => {
    expect(await refusal(prepared())).toMatchObject({ code: 'sources-unknown' })
    const fork = await makeFork(join(dir, 'fork'), upstream, FROM)
    await upstream.git('checkout', '--quiet', `v${FROM}`)
    const head = await pushed(remote, fork)
    expect(await refusal(prepared({ checkout: upstream.dir }, head))).toMatchObject({ code: 'checkout-behind' })
    expect(await refusal(prepared({ from: '4.5.3', to: '4.5.4' }))).toMatchObject({ code: 'release-not-upstream' })
    expect(await refusal(prepared({ from: '4.5.3', to: TO }))).toMatchObject({ code: 'foreign-history' })
  })
})

describe('where git gets the login from', () => {
  it.each([
    ['https://api.heroku.com', undefined, 'https://git.heroku.com'],
    ['https://api.heroku.com', '', 'https://git.heroku.com'],
    ['https://api.heroku.com', 'git.herokudev.com', 'https://git.herokudev.com'],
    ['http://127.0.0.1:5000', undefined, 'http://127.0.0.1:5000'],
    ['https://api.heroku.com', 'http://localhost:80/', 'http://localhost:80'],
  ])('%s and %s: %s', (api, host, base) => {
    expect(gitBaseOf(api, host)).toBe(base)
  })

  it.each(['evil.example', 'git.heroku.com.evil.example', 'http://git.heroku.com', 'https://a@evil.example', 'a b'])(
    'not at %s',
    host => {
      expect(() => gitBaseOf('https://api.heroku.com', host)).toThrow('names no host of Heroku')
    },
  )
})
