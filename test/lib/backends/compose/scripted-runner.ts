import { PassThrough } from 'node:stream'
import { Ledger } from '../../../../src/lib/ledger.js'
import { Output } from '../../../../src/lib/output.js'
import { type Channel, type Invocation, type Outcome, Runner } from '../../../../src/lib/runner.js'

export type Answer = Partial<Outcome> | undefined

/** A runner that starts nothing: it notes the invocations and answers as the test says. */
export class ScriptedRunner extends Runner {
  readonly invocations: Invocation[] = []
  readonly #answer: (invocation: Invocation) => Answer

  constructor(answer: (invocation: Invocation) => Answer = () => undefined, dryRun = false) {
    super({ output: new Output({ logLevel: 'error' }), ledger: new Ledger(), dryRun })
    this.#answer = answer
  }

  override async run(invocation: Invocation, onLine?: (line: string) => void): Promise<Outcome> {
    this.invocations.push(invocation)
    if (this.dryRun && invocation.effect === 'write') return { stdout: '', stderr: '', exitCode: 0, planned: true }
    const outcome = { stdout: '', stderr: '', exitCode: 0, planned: false, ...this.#answer(invocation) }
    if (onLine) for (const line of outcome.stdout.split('\n').filter(Boolean)) onLine(line)
    return outcome
  }

  override async open(invocation: Invocation): Promise<Channel> {
    this.invocations.push(invocation)
    const { stdout = '', stderr = '', exitCode = 0 } = this.#answer(invocation) ?? {}
    return channelOf(stdout, stderr, exitCode)
  }

  /** The writes, as one line each. */
  get writes(): string[] {
    return this.invocations.filter(one => one.effect === 'write').map(lineOf)
  }

  get lines(): string[] {
    return this.invocations.map(lineOf)
  }
}

export function lineOf(invocation: Invocation): string {
  return [invocation.file, ...invocation.args].join(' ')
}

/** A process that has printed this and ended. */
export function channelOf(stdout: string, stderr: string, exitCode: number): Channel {
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough() }
  streams.stdout.end(stdout)
  streams.stderr.end(stderr)
  return { ...streams, ended: Promise.resolve(exitCode), kill: () => undefined }
}

export interface Shape {
  service: string
  image?: string
  command?: string
  status?: string
  health?: string
  env?: Record<string, string>
  number?: number
  created?: string
  user?: string
  entrypoint?: string[]
  restartCount?: number
  mounts?: { Type: string; Name?: string; Source?: string; Destination: string }[]
  workdir?: string
}

export const APP_IMAGE = 'ghcr.io/mastodon/mastodon:v4.5.3'

/** Returns a container as `docker inspect` prints it, with what the adapter reads. */
export function inspected(shape: Shape): Record<string, unknown> {
  const { service, status = 'running', health = 'healthy', number = 1 } = shape
  return {
    Id: `${service}${number}`.padEnd(64, '0'),
    Name: `/town-${service}-${number}`,
    Created: shape.created ?? '2026-01-01T00:00:00Z',
    Image: `id of ${shape.image ?? APP_IMAGE}`,
    RestartCount: shape.restartCount ?? 0,
    State: {
      Status: status,
      StartedAt: '2026-01-01T00:00:01.5Z',
      ExitCode: 0,
      ...(health === 'none' ? {} : { Health: { Status: health } }),
    },
    Config: {
      User: shape.user ?? 'mastodon',
      Entrypoint: shape.entrypoint ?? ['/usr/bin/tini', '--'],
      Image: shape.image ?? APP_IMAGE,
      Cmd: (shape.command ?? 'bundle exec puma').split(' '),
      Env: Object.entries(shape.env ?? {}).map(([name, value]) => `${name}=${value}`),
      WorkingDir: shape.workdir ?? '/opt/mastodon',
      Healthcheck: { Test: ['CMD-SHELL', 'curl -f localhost:3000/health'] },
      Labels: { 'com.docker.compose.service': service, 'com.docker.compose.project': 'town' },
    },
    Mounts: shape.mounts ?? [],
    NetworkSettings: { Networks: { town_internal: { Aliases: [service], IPAddress: '172.20.0.9' } } },
  }
}
