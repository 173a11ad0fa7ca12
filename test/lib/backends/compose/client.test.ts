import { describe, expect, test } from 'vitest'
import { DockerWords, findClient, readOrRefuse } from '../../../../src/lib/backends/compose/client.js'
import { RefusedError } from '../../../../src/lib/errors.js'
import { type Answer, lineOf, ScriptedRunner } from './scripted-runner.js'

const PLUGIN = 'docker compose version --short'
const STANDALONE = 'docker-compose version --short'

function machineWith(answers: Record<string, Answer>): ScriptedRunner {
  return new ScriptedRunner(invocation => {
    const answer = answers[lineOf(invocation)]
    if (answer === undefined) throw new RefusedError({ code: 'program-missing', message: 'not there' })
    return answer
  })
}

describe('the compose client', () => {
  test.each([
    ['Debian', '2.26.1-4\n', '2.26.1'],
    ['upstream', 'v2.40.0\n', '2.40.0'],
  ])('is the plugin as %s numbers it', async (_, stdout, version) => {
    expect(await findClient(machineWith({ [PLUGIN]: { stdout } }))).toEqual({ plugin: true, version })
  })

  test('is the standalone program where the plugin is missing', async () => {
    const machine = machineWith({
      [PLUGIN]: { exitCode: 1, stderr: "'compose' is not a docker command." },
      [STANDALONE]: { stdout: '2.5.0\n' },
    })
    expect(await findClient(machine)).toEqual({ plugin: false, version: '2.5.0' })
  })

  test('of version 1 is refused, and what to install is said', async () => {
    const machine = machineWith({ [PLUGIN]: { exitCode: 1 }, [STANDALONE]: { stdout: '1.29.2\n' } })
    await expect(findClient(machine)).rejects.toMatchObject({
      exitCode: 3,
      message: 'Docker Compose 1.29.2 is too old.',
      next: expect.stringContaining('Install the Docker Compose plugin'),
    })
  })

  test('that is missing is said so', async () => {
    await expect(findClient(machineWith({}))).rejects.toMatchObject({ code: 'compose-missing' })
  })
})

describe('the words for the engine', () => {
  const plugin = { plugin: true, version: '2.26.1' }
  const standalone = { plugin: false, version: '2.26.1' }

  test('are none where the shell decides', () => {
    expect(lineOf(new DockerWords({}, plugin).compose(['ps']))).toBe('docker compose ps')
    expect(new DockerWords({}, plugin).docker(['ps'])).toEqual({ effect: 'read', file: 'docker', args: ['ps'] })
  })

  test('name a host or a context', () => {
    expect(lineOf(new DockerWords({ dockerHost: 'ssh://far' }, plugin).compose(['ps']))).toBe(
      'docker --host ssh://far compose ps',
    )
    expect(lineOf(new DockerWords({ context: 'far' }, plugin).docker(['ps']))).toBe('docker --context far ps')
  })

  test('travel by the environment to the standalone program', () => {
    const invocation = new DockerWords({ context: 'far' }, standalone).compose(['ps'], { env: { A: '1' } })
    expect(lineOf(invocation)).toBe('docker-compose ps')
    expect(invocation.env).toEqual({ DOCKER_CONTEXT: 'far', DOCKER_HOST: '', A: '1' })
  })
})

describe('a read that fails', () => {
  const read = (stderr: string) =>
    readOrRefuse(
      new ScriptedRunner(() => ({ exitCode: 1, stderr })),
      { file: 'docker', args: [], effect: 'read' },
      'Listing',
    )

  test('because the engine is away says so', async () => {
    const stderr = 'Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?'
    await expect(read(stderr)).rejects.toMatchObject({ code: 'engine-away', why: stderr })
  })

  test('never quotes the env file, which may hold a secret', async () => {
    const stderr =
      'time="x" level=warning msg="unset"\nfailed to read /srv/.env.production: line 3: unexpected character "!" in variable name "hunter2secret!"'
    const error = await read(stderr).catch(caught => caught)
    expect(error.why).toContain('.env.production: line 3')
    expect(error.why).not.toContain('hunter2')
  })
})
