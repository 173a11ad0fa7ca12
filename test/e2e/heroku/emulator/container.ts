import { spawn } from 'node:child_process'
import { type Readable, Transform, type Writable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'
import { finish } from '../../compose/bed/process.js'

export interface ContainerOptions {
  readonly name: string
  readonly image: string
  readonly labels: Readonly<Record<string, string>>
  /** As the platform gives it, to a shell. */
  readonly command: string
  readonly env: Readonly<Record<string, string>>
  /** Files of this machine that the process sees under the same path. */
  readonly files: readonly string[]
  /** A folder of this machine that is its /tmp, for those who look what a process has left there. */
  readonly tmp?: string
  /** True: the process has a terminal of its own. */
  readonly terminal: boolean
}

/** A process in a container of its own. */
export interface Container {
  readonly input: Writable
  /** Standard output and standard error, merged where they arise. */
  readonly output: Readable
  /** Resolves when its shell runs; never, where it could not be started. */
  readonly started: Promise<void>
  /** Its exit code, when both it and its output have ended. */
  readonly ended: Promise<number>
  /** Ends it as SIGKILL does. */
  kill(): Promise<void>
}

/** The first byte says that the shell runs. One shell merges the streams: two pipes would lose their order. */
const PLAIN = String.raw`printf '\000'; exec sh -c "$1" 2>&1`
const WITH_TERMINAL = String.raw`printf '\000'; exec script -qefc "$1" /dev/null 2>&1`

/** Starts the process. Its variables travel in the environment of the docker client: never in arguments, any bytes but NUL. */
export function startContainer(options: ContainerOptions): Container {
  const child = spawn('docker', argumentsOf(options), { env: { ...ofTheClient(), ...options.env }, stdio: 'pipe' })
  const { stream, started } = withoutFirstByte()
  let running = true
  child.stdin.on('error', () => {})
  child.stdout.pipe(stream, { end: false })
  // The client's own complaints: that the image is missing, for example.
  child.stderr.pipe(stream, { end: false })
  const ended = new Promise<number>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', code => {
      running = false
      stream.on('end', () => resolve(code ?? 137)).end()
    })
  })
  const kill = async () => {
    // The container may not be there yet: docker is asked until its client has ended.
    while (running) {
      await finish('docker', ['kill', options.name])
      if (running) await pause(50)
    }
  }
  return { input: child.stdin, output: stream, started, ended, kill }
}

function withoutFirstByte(): { stream: Transform; started: Promise<void> } {
  let started = () => {}
  let first = true
  const stream = new Transform({
    transform(bytes: Buffer, _, done) {
      const isSign = first && bytes[0] === 0
      if (isSign) started()
      first = false
      done(null, isSign ? bytes.subarray(1) : bytes)
    },
  })
  return { stream, started: new Promise(resolve => (started = resolve)) }
}

function argumentsOf({ name, image, labels, command, env, files, tmp, terminal }: ContainerOptions): string[] {
  return [
    ...['run', '--rm', '-i', '--name', name, '--network', 'host'],
    ...Object.entries(labels).flatMap(([label, value]) => ['--label', `${label}=${value}`]),
    ...files.flatMap(file => ['-v', `${file}:${file}:ro`]),
    ...(tmp === undefined ? [] : ['-v', `${tmp}:/tmp`]),
    ...Object.keys(env).flatMap(variable => ['-e', variable]),
    ...[image, 'sh', '-c', terminal ? WITH_TERMINAL : PLAIN, 'dyno', command],
  ]
}

function ofTheClient(): NodeJS.ProcessEnv {
  const wanted = ['PATH', 'HOME', 'DOCKER_HOST', 'DOCKER_CONFIG', 'DOCKER_CONTEXT']
  return Object.fromEntries(wanted.flatMap(name => (process.env[name] ? [[name, process.env[name]]] : [])))
}
