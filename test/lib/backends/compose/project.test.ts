import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DockerWords } from '../../../../src/lib/backends/compose/client.js'
import type { ComposeOptions } from '../../../../src/lib/backends/compose/options.js'
import {
  type ComposeProject,
  chooseLabelled,
  defaultName,
  findProject,
  projectsFrom,
} from '../../../../src/lib/backends/compose/project.js'
import { lineOf, ScriptedRunner } from './scripted-runner.js'

const words = new DockerWords({}, { plugin: true, version: '2.26.1' })
const IMAGE = 'ghcr.io/mastodon/mastodon:v4.5.3'

let dir: string
beforeEach(async () => {
  dir = join(await realpath(await mkdtemp(join(tmpdir(), 'mstdn-ops-project-'))), 'town')
  await mkdir(dir)
  await writeFile(join(dir, 'docker-compose.yml'), 'services: {}')
})
afterEach(() => rm(join(dir, '..'), { recursive: true }))

/** An engine whose containers carry these labels: project, folder, files, env file, image. */
async function find(
  labels: string[][],
  options: ComposeOptions = {},
  config = '{"name":"town"}',
): Promise<ComposeProject> {
  const runner = new ScriptedRunner(invocation => {
    if (lineOf(invocation).includes(' ps ')) return { stdout: labels.map(fields => fields.join('\t')).join('\n') }
    return { stdout: config }
  })
  return findProject({ projectDir: dir, ...options }, words, runner)
}

describe('the identity of what runs', () => {
  test('is plain where compose finds its file by itself', async () => {
    const project = await find([['town', dir, `${dir}/docker-compose.yml`, '', IMAGE]])
    expect(project.compose(['ps'])).toEqual({
      file: 'docker',
      args: ['compose', '-p', 'town', 'ps'],
      cwd: dir,
      effect: 'read',
    })
    expect(project.byHand(['exec', 'web', 'bin/tootctl', 'version'])).toBe(
      'docker compose exec web bin/tootctl version',
    )
  })

  test('keeps other files, the env file, the name and profiles', async () => {
    await writeFile(join(dir, 'prod.yml'), '')
    const files = `${dir}/docker-compose.yml,${dir}/prod.yml`
    const project = await find([['city', dir, files, `${dir}/my.env`, IMAGE]], { profiles: ['stream'] })
    const flags = `-p city --project-directory ${dir} -f ${dir}/docker-compose.yml -f ${dir}/prod.yml --env-file ${dir}/my.env --profile stream`
    expect(lineOf(project.compose(['ps']))).toBe(`docker compose ${flags} ps`)
    expect(project.byHand(['ps'])).toBe(`docker compose ${flags} ps`)
  })

  test('leaves an override to compose, which reads it by itself', async () => {
    const files = `${dir}/docker-compose.yml,${dir}/docker-compose.override.yml`
    expect(lineOf((await find([['town', dir, files, '', IMAGE]])).compose(['ps']))).toBe('docker compose -p town ps')
  })

  test('is found through a link to the folder', async () => {
    await symlink(dir, join(dir, '..', 'link'))
    const project = await find([['town', dir, `${dir}/docker-compose.yml`, '', IMAGE]], {
      projectDir: join(dir, '..', 'link'),
    })
    expect(project.identity.dir).toBe(dir)
  })

  test('gives way to the files that the operator names', async () => {
    const project = await find([['town', dir, `${dir}/docker-compose.yml`, '', IMAGE]], { files: ['other.yml'] })
    expect(project.identity.files).toEqual([join(dir, 'other.yml')])
  })

  test('is known also when its files are on another machine, and then commands that need them are refused', async () => {
    const project = await find([['far', '/elsewhere/far', '/elsewhere/far/compose.yaml', '', IMAGE]], {
      projectName: 'far',
    })
    expect(lineOf(project.docker(['ps']))).toBe('docker ps')
    expect(() => project.compose(['ps'])).toThrow(
      expect.objectContaining({
        code: 'project-files-elsewhere',
        exitCode: 3,
        why: expect.stringContaining('/elsewhere/far'),
      }),
    )
  })
})

describe('the identity of what does not run', () => {
  test('is read from the configuration', async () => {
    const project = await find(
      [['other', '/elsewhere', '/elsewhere/compose.yaml', '', IMAGE]],
      {},
      '{"name":"named-in-file"}',
    )
    expect(project.name).toBe('named-in-file')
    expect(project.byHand(['ps'])).toBe('docker compose -p named-in-file ps')
  })
})

describe('choosing among the projects of an engine', () => {
  const line = (name: string, folder: string, image = IMAGE) =>
    [name, folder, `${folder}/compose.yaml`, '', image].join('\t')

  test('several of one folder: the one with Mastodon, and none in silence', () => {
    const projects = projectsFrom([line('tool', dir, 'nginx'), line('town', dir)].join('\n'))
    expect(chooseLabelled(projects, dir)?.name).toBe('town')
    const two = projectsFrom([line('a', dir), line('b', dir)].join('\n'))
    expect(() => chooseLabelled(two, dir)).toThrow(
      expect.objectContaining({ code: 'several-projects', why: 'They are a, b.' }),
    )
    expect(chooseLabelled(two, dir, undefined, 'b')?.name).toBe('b')
  })

  test('COMPOSE_PROJECT_NAME of the shell never leads away from a folder that has a project', () => {
    const projects = projectsFrom([line('town', dir), line('other', '/elsewhere')].join('\n'))
    expect(chooseLabelled(projects, dir, undefined, 'other')?.name).toBe('town')
    expect(chooseLabelled(projects, '/srv/nothing', undefined, 'other')?.name).toBe('other')
    expect(chooseLabelled(projects, dir, 'other')?.name).toBe('other')
  })

  test('the longest list of files wins: it holds the override', () => {
    const longer = ['town', dir, `${dir}/compose.yaml,${dir}/compose.override.yaml`, '', IMAGE].join('\t')
    const [project] = projectsFrom([longer, line('town', dir, 'postgres:14-alpine')].join('\n'))
    expect(project).toMatchObject({ hasMastodon: true, files: [`${dir}/compose.yaml`, `${dir}/compose.override.yaml`] })
  })
})

test.each([
  ['/srv/Mastodon', 'mastodon'],
  ['/srv/my.town', 'mytown'],
  ['/srv/_x-1', 'x-1'],
])('the name that compose gives to %s is %s', (folder, name) => {
  expect(defaultName(folder)).toBe(name)
})
