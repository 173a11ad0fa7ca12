import { NotUndoneError, RefusedError } from '../../../errors.js'
import { variablesFor } from '../../../mastodon/new-instance/environment.js'
import type { Invocation } from '../../../runner.js'
import type { Answers } from '../../../setup/questions.js'
import type { Founding, Standing } from '../../backend.js'
import { firstLine } from '../../complaints.js'
import { readOrRefuse } from '../client.js'
import { untilHealthy, verdictOf } from '../healthy.js'
import type { Stack } from '../stack.js'
import { composeText, mediaFolder, SERVERS, serviceNames } from './compose-file.js'
import { envText } from './env-text.js'
import { NewFiles } from './new-files.js'
import { obstaclesOf } from './obstacles.js'

/** A pull of all images on a slow line, and the first start of a database. */
const START_LIMIT_MS = 300_000
/** The app's user in every image from 2.3.0 on (Dockerfile). */
const APP_USER = '991:991'

/** Makes a compose project: its two files in a folder, its containers and volumes. */
export class ComposeFounding implements Founding {
  readonly #stack: Stack
  readonly #files: NewFiles
  readonly #changed: () => void

  constructor(stack: Stack, changed: () => void) {
    this.#stack = stack
    this.#files = new NewFiles(stack.project.identity.dir)
    this.#changed = changed
  }

  get where(): string {
    return this.#stack.project.identity.dir
  }

  async standing(answers: Answers): Promise<Standing> {
    const files = this.#files.present()
    const data = answers.volumes === 'folders' ? this.#files.data() : []
    const remains = [...(await this.#remains()), ...data.map(path => `folder ${path}`)]
    if (files.length === 0) return { files, remains, differing: [] }
    const wanted = { compose: await composeText(answers), variables: variablesFor(answers, SERVERS) }
    return { files, remains, ...(await this.#files.compare(wanted)) }
  }

  obstacles(answers: Answers): Promise<{ fatal: string[]; warnings: string[] }> {
    return obstaclesOf(answers)
  }

  async write(answers: Answers, secrets: Readonly<Record<string, string>>): Promise<void> {
    const { ledger, runner, output } = this.#stack.parts
    for (const [name, value] of Object.entries(secrets)) output.redactor.add(name, value)
    const own = {
      title: 'Secrets. A new one in their place loses what it protects.',
      variables: Object.entries(secrets),
    }
    const groups = [...variablesFor(answers, SERVERS), own]
    const texts = { compose: await composeText(answers), env: envText(groups) }
    for (const { path, text, mode } of this.#files.planned(texts)) {
      const byHand = `sudoedit ${path}   # mode ${mode}, as mstdn-ops setup --dry-run shows it`
      ledger?.record({ kind: 'file', exact: `write ${path} (mode ${mode}):\n${indented(text)}`, byHand })
    }
    if (runner.dryRun) return
    await this.#files.write(texts)
    this.#changed()
  }

  async unwrite(): Promise<void> {
    await this.#files.unwrite()
    this.#changed()
  }

  async setAside(key: string): Promise<void> {
    const { ledger, runner } = this.#stack.parts
    for (const path of this.#files.present()) ledger?.command(`mv ${path} ${path}.before`)
    if (!runner.dryRun) await this.#files.setAside(key)
    this.#changed()
  }

  async putBack(key: string): Promise<void> {
    await this.#files.putBack(key)
    this.#changed()
  }

  kept(key: string): string[] {
    return this.#files.kept(key)
  }

  async missing(answers: Answers): Promise<string[]> {
    const images = await this.#images(answers)
    const { project, parts } = this.#stack
    const missing: string[] = []
    for (const image of images) {
      const look = project.docker(['image', 'inspect', '--format', '{{.Id}}', image], { timeoutMs: 30_000 })
      if ((await parts.runner.run(look)).exitCode !== 0) missing.push(image)
    }
    return missing
  }

  async fetch(images: readonly string[], onProgress: (text: string) => void): Promise<void> {
    for (const image of images) {
      onProgress(image)
      const outcome = await this.#stack.parts.runner.run(
        this.#stack.project.docker(['pull', image], { effect: 'write' }),
      )
      if (outcome.exitCode !== 0) throw notFetched(image, firstLine(outcome))
    }
  }

  async runs(answers: Answers, what: 'servers' | 'app'): Promise<boolean> {
    const services = serviceNames(answers)[what]
    const containers = await this.#stack.containers()
    return services.every(service =>
      containers.some(one => one.service === service && verdictOf(one, Date.now()) === 'good'),
    )
  }

  async start(answers: Answers, what: 'servers' | 'app'): Promise<void> {
    const services = serviceNames(answers)[what]
    const byHand = this.#stack.project.byHand(['up', '-d', '--no-deps', ...services])
    const words = ['up', '-d', '--no-deps', '--no-build', '--pull', 'never', ...services]
    await this.#change(this.#stack.project.compose(words, { effect: 'write', byHand }))
    if (this.#stack.parts.runner.dryRun) return
    await untilHealthy(this.#stack, ({ service }) => services.includes(service), START_LIMIT_MS)
  }

  /** By a container, for the folder of a volume is root's and out of the operator's reach. */
  async giveMedia(answers: Answers): Promise<void> {
    const folder = mediaFolder(answers)
    if (folder === undefined) return
    const words = ['run', '--rm', '-T', '--no-deps', '--user', '0:0', '--entrypoint', 'chown', 'web', APP_USER, folder]
    await this.#change(
      this.#stack.project.compose(words, { effect: 'write', byHand: this.#stack.project.byHand(words) }),
    )
  }

  async remove(answers: Answers): Promise<void> {
    const words = ['down', '--volumes', '--timeout', '20']
    await this.#change(
      this.#stack.project.compose(words, { effect: 'write', byHand: this.#stack.project.byHand(words) }),
    )
    if (answers.volumes === 'folders' && !this.#stack.parts.runner.dryRun) await this.#files.removeData()
  }

  async #images(answers: Answers): Promise<string[]> {
    const { parse } = await import('yaml')
    const { services } = parse(await composeText(answers)) as { services: Record<string, { image: string }> }
    return [...new Set(Object.values(services).map(({ image }) => image))]
  }

  /** By the label alone: another folder may hold a project of this name. */
  async #remains(): Promise<string[]> {
    const { project, parts } = this.#stack
    const filter = ['--filter', `label=com.docker.compose.project=${project.name}`]
    const look = async (what: string, words: readonly string[]) => {
      const invocation = project.docker([...words, ...filter], { timeoutMs: 30_000 })
      const { stdout } = await readOrRefuse(parts.runner, invocation, `Listing the ${what}s`)
      return stdout.split('\n').flatMap(name => (name === '' ? [] : [`${what} ${name}`]))
    }
    return [
      ...(await look('container', ['ps', '-a', '--format', '{{.Names}}'])),
      ...(await look('volume', ['volume', 'ls', '--format', '{{.Name}}'])),
    ]
  }

  async #change(invocation: Invocation): Promise<void> {
    const outcome = await this.#stack.parts.runner.run(invocation)
    this.#changed()
    if (outcome.exitCode === 0) return
    const { stderr } = outcome
    throw new NotUndoneError({
      code: 'containers-not-made',
      message: `${invocation.byHand} failed.`,
      cause: firstLine({ stdout: outcome.stdout, stderr: stderr.trimEnd().split('\n').at(-1) ?? '' }),
    })
  }
}

function indented(text: string): string {
  return text.trimEnd().replace(/^/gm, '  ')
}

function notFetched(image: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'image-not-fetched',
    message: `The image ${image} could not be fetched.`,
    cause,
    next: 'See whether the registry can be reached and has that release, then run the command again.',
  })
}
