import type { Channel, Effect } from '../../runner.js'
import type { ScriptPlace, ToolScript } from '../backend.js'
import { randomNonce } from '../nonce.js'
import { leashed, toolRun } from '../tool-run.js'
import type { Container } from './containers.js'
import { dropsRights } from './one-off.js'
import type { Stack } from './stack.js'

/** Returns the place inside of a running container where scripts run as its own user. */
export function containerPlace(stack: Stack, container: Container): ScriptPlace {
  const words = ['exec', '-i', ...userFlags(container), container.name]
  return placeOf(`service ${container.service}`, (script, effect) =>
    stack.parts.runner.open(stack.project.docker([...words, ...script], { effect })),
  )
}

/** Returns a place in a new container of the service for each script; `like` is one of its containers. */
export function newContainerPlace(stack: Stack, like: Container): ScriptPlace {
  const words = ['run', '--rm', '-T', '--no-deps', ...userFlags(like), '--entrypoint', 'sh', like.service]
  return placeOf(`a new container of ${like.service}`, ([, ...script], effect) =>
    stack.parts.runner.open(stack.project.compose([...words, ...script], { effect })),
  )
}

function placeOf(where: string, start: (words: string[], effect: Effect) => Promise<Channel>): ScriptPlace {
  const open = async (script: ToolScript) => {
    const nonce = randomNonce()
    return toolRun(await start(leashed(script, nonce), script.effect), nonce, script)
  }
  return { where, open }
}

/** Where the image's entry point drops to the app's user, so must whatever goes past it. Source: Dockerfile 1.4–2.2. */
function userFlags(container: Container): string[] {
  if (!dropsRights(container)) return []
  return ['-u', `${container.env.get('UID') || 991}:${container.env.get('GID') || 991}`]
}
