import type { Founding, Standing } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { lacks } from '../../open-toolbox.js'
import type { Toolbox } from '../../toolbox.js'
import type { SetupOptions } from './options.js'

export function foundingOf(toolbox: Toolbox): Founding {
  if (toolbox.backend.founding) return toolbox.backend.founding
  throw lacks(toolbox.backend, 'founding', 'way to make an instance')
}

/**
 * Refuses where something else stands, or the machine lacks something. The instance of the same answers is no obstacle.
 */
export async function refuseOther(toolbox: Toolbox, { answers, replace }: SetupOptions): Promise<void> {
  const founding = foundingOf(toolbox)
  const standing = await founding.standing(answers)
  if (standing.isSame) return
  if (standing.files.length > 0 && (!replace || standing.remains.length > 0)) throw anotherStands(founding, standing)
  if (standing.remains.length > 0) throw leftOvers(standing)
  const { fatal, warnings } = await founding.obstacles(answers)
  if (fatal.length > 0) throw obstacles(fatal)
  for (const warning of warnings) toolbox.output.warn(warning)
}

function anotherStands(founding: Founding, { files, domain, differing, remains }: Standing): RefusedError {
  const whose = domain === undefined ? 'Something else' : `An instance of ${domain}`
  const lives = remains.length > 0 ? [`It has run: ${remains.join(', ')}.`] : []
  const next =
    remains.length > 0
      ? 'Choose another folder with -C DIR. To change this instance: mstdn-ops config:set, mstdn-ops upgrade.'
      : 'Choose another folder with -C DIR, or give these files another name with --replace.'
  return new RefusedError({
    code: 'another-instance',
    message: `${whose} stands in ${founding.where}: nothing was changed.`,
    cause: [`Found: ${files.join(', ')}.`, `Not as answered: ${differing.join(', ')}.`, ...lives].join('\n'),
    next,
  })
}

/** Volumes without their files may be all that is left of an instance. */
function leftOvers({ remains }: Standing): RefusedError {
  return new RefusedError({
    code: 'left-overs',
    message: 'There are left-overs under the name of the new instance: nothing was changed.',
    cause: `Found: ${remains.join(', ')}.`,
    next: 'If they are of an instance, put its files back, or choose a folder of another name with -C DIR. If nobody needs them, remove them with docker rm and docker volume rm.',
  })
}

function obstacles(fatal: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'machine-not-ready',
    message: 'This machine is not ready for the instance: nothing was changed.',
    cause: fatal.join('\n'),
    next: 'See to it, then run the command again.',
  })
}
