import { RefusedError } from '../../errors.js'
import { firstLine } from '../complaints.js'
import type { Stack } from './stack.js'

const READ_LIMIT_MS = 60_000

/** Returns those of the images that the engine has not got. */
export async function missingImages(stack: Stack, images: readonly string[]): Promise<string[]> {
  const wanted = [...new Set(images)]
  const here = await Promise.all(wanted.map(image => has(stack, image)))
  return wanted.filter((_, at) => !here[at])
}

async function has({ parts, project }: Stack, image: string): Promise<boolean> {
  const words = ['image', 'inspect', '--format', '{{.Id}}', image]
  return (await parts.runner.run(project.docker(words, { timeoutMs: READ_LIMIT_MS }))).exitCode === 0
}

/** @throws RefusedError where the registry does not give it. */
export async function pullImage(
  { parts, project }: Stack,
  image: string,
  onProgress: (text: string) => void,
): Promise<void> {
  onProgress(image)
  const pull = project.docker(['pull', image], { effect: 'write', byHand: `docker pull ${image}` })
  const outcome = await parts.runner.run(pull, line => onProgress(`${image}: ${line}`))
  if (outcome.exitCode !== 0) throw notFetched(image, firstLine(outcome))
}

function notFetched(image: string, cause: string): RefusedError {
  return new RefusedError({
    code: 'image-not-fetched',
    message: `The image ${image} could not be fetched.`,
    cause,
    next: `See what is wrong with docker pull ${image}; an image of your own has to be built under that name.`,
  })
}
