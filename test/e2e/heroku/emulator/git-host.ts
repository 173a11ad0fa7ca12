import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseVersionRb } from '../../../../src/lib/mastodon/version.js'
import { must } from '../../compose/bed/process.js'
import type { App } from './app.js'
import type { Faults } from './faults.js'

const BUILDS = '/internal/builds'
/** Milliseconds that a build takes. */
const BUILD_MS = 300
const SLOW_BUILD_MS = 10_000
const CONFIG = [
  ['http.receivepack', 'true'],
  ['receive.denyDeleteCurrent', 'ignore'],
]

/** The platform builds what is pushed before it takes it; what the build prints is the remote's. */
const HOOK = String.raw`
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
  const [, commit, ref] = line.split(' ')
  if (!/^refs\/heads\/(main|master)$/.test(ref) || /^0+$/.test(commit)) continue
  const file = execFileSync('git', ['show', commit + ':lib/mastodon/version.rb'], { encoding: 'utf8' })
  const answer = await fetch(process.argv[2], { method: 'POST', body: JSON.stringify({ commit, file }) })
  let text = ''
  for await (const part of answer.body.pipeThrough(new TextDecoderStream())) {
    text += part
    process.stdout.write(part.replace(/BUILT (yes|no)\n/, ''))
  }
  if (!text.endsWith('BUILT yes\n')) process.exit(1)
}
`

export interface GitHostOptions {
  readonly dir: string
  readonly app: App
  readonly token: string
  readonly faults: Faults
  readonly url: () => string
}

/** The app's git repository over HTTP, and the build that a push begins. */
export class GitHost {
  readonly #options: GitHostOptions

  constructor(options: GitHostOptions) {
    this.#options = options
  }

  /** The app's repository. */
  get folder(): string {
    return join(this.#options.dir, `${this.#options.app.name}.git`)
  }

  async make(): Promise<void> {
    await mkdir(this.folder, { recursive: true })
    await must('git', ['init', '--quiet', '--bare', '--initial-branch=main', this.folder])
    for (const [name = '', value = ''] of CONFIG) await must('git', ['-C', this.folder, 'config', name, value])
    const script = join(this.#options.dir, 'pre-receive.mjs')
    await writeFile(script, HOOK)
    const hook = join(this.folder, 'hooks', 'pre-receive')
    await writeFile(hook, `#!/bin/sh\nexec '${process.execPath}' '${script}' '${this.#options.url()}${BUILDS}'\n`)
    await chmod(hook, 0o755)
  }

  /** Answers what is git's, and returns whether it was. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const { pathname, search } = new URL(request.url ?? '/', this.#options.url())
    if (pathname === BUILDS) {
      void this.#build(request, response).catch(() => response.destroy())
      return true
    }
    if (!/^\/[^/]+\.git(\/|$)/.test(pathname)) return false
    if (this.#isKnown(request)) this.#serve(request, response, { pathname, query: search.slice(1) })
    else response.writeHead(401, { 'WWW-Authenticate': 'Basic realm="Git"' }).end('Authentication required')
    return true
  }

  #isKnown({ headers }: IncomingMessage): boolean {
    const [, encoded = ''] = /^Basic (\S+)$/.exec(headers.authorization ?? '') ?? []
    return (
      Buffer.from(encoded, 'base64')
        .toString()
        .replace(/^[^:]*:/, '') === this.#options.token
    )
  }

  #serve(request: IncomingMessage, response: ServerResponse, at: { pathname: string; query: string }): void {
    const { headers, method = 'GET' } = request
    const child = spawn('git', ['http-backend'], {
      env: {
        ...{ PATH: process.env.PATH, HOME: this.#options.dir, GIT_PROJECT_ROOT: this.#options.dir },
        ...{ GIT_HTTP_EXPORT_ALL: '1', PATH_INFO: at.pathname, QUERY_STRING: at.query, REQUEST_METHOD: method },
        ...{ CONTENT_TYPE: headers['content-type'] ?? '', REMOTE_USER: 'heroku', REMOTE_ADDR: '127.0.0.1' },
        ...{ HTTP_CONTENT_ENCODING: String(headers['content-encoding'] ?? '') },
        ...{ GIT_PROTOCOL: String(headers['git-protocol'] ?? '') },
        ...(headers['content-length'] ? { CONTENT_LENGTH: headers['content-length'] } : {}),
      },
      stdio: ['pipe', 'pipe', 'ignore'],
    })
    child.stdin.on('error', () => {})
    child.on('error', () => response.destroy())
    request.pipe(child.stdin)
    let head: Buffer | undefined = Buffer.alloc(0)
    child.stdout.on('data', (bytes: Buffer) => {
      if (head === undefined) return void response.write(bytes)
      head = Buffer.concat([head, bytes])
      const end = head.indexOf('\r\n\r\n')
      if (end < 0) return
      writeHead(response, head.subarray(0, end).toString())
      response.write(head.subarray(end + 4))
      head = undefined
    })
    child.stdout.on('end', () => response.end())
  }

  /** Builds, and puts what was built into force. */
  async #build(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const { commit, file } = JSON.parse(Buffer.concat(chunks).toString()) as { commit: string; file: string }
    const { app, faults } = this.#options
    const build = {
      id: randomUUID(),
      commit,
      status: 'pending' as 'pending' | 'succeeded' | 'failed',
      createdAt: new Date(),
    }
    app.builds.push(build)
    response.writeHead(200, { 'Content-Type': 'text/plain' })
    const say = (line: string) => response.write(`${line}\n`)
    for (const line of ['-----> Building on the Heroku-24 stack', '-----> Node.js app detected']) say(line)
    await pause(faults.takes('build-slow') ? SLOW_BUILD_MS : BUILD_MS)
    const version = parseVersionRb(file)?.toString()
    if (version === undefined || faults.takes('build-fails')) {
      for (const line of FAILED) say(line)
      build.status = 'failed'
      return void response.end('BUILT no\n')
    }
    const { version: number } = app.deploy(commit, version)
    for (const line of ['-----> Compressing...', '-----> Launching...', `       Released v${number}`]) say(line)
    build.status = 'succeeded'
    response.end('BUILT yes\n')
  }
}

const FAILED = [
  '-----> Build failed',
  '       We are sorry this build is failing!',
  ' !     Push rejected, failed to compile Node.js app.',
  ' !     Push failed',
]

function writeHead(response: ServerResponse, text: string): void {
  const lines = text.split('\r\n').map(line => /^([^:]+): ?(.*)$/.exec(line))
  const headers = lines.flatMap(line => (line === null ? [] : [[line[1] ?? '', line[2] ?? ''] as const]))
  const status = Number(headers.find(([name]) => name === 'Status')?.[1]?.slice(0, 3) ?? 200)
  response.writeHead(status, Object.fromEntries(headers.filter(([name]) => name !== 'Status')))
}
