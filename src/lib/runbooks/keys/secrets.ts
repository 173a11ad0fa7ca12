import { ROLES } from '../../backends/backend.js'
import { RefusedError } from '../../errors.js'
import { standingOf } from '../../keys/standing.js'
import { newSecrets, planSecrets } from '../../mastodon/new-secrets.js'
import { MastodonVersion } from '../../mastodon/version.js'
import type { Runbook } from '../../runbook/step.js'
import type { Toolbox } from '../../toolbox.js'
import { type ConfigChange, configOf, configSteps, settleCopy } from '../config/change.js'

export interface SetSecretsOptions {
  /** The secrets that are made: none of them is set. */
  names: string[]
  /** The release that needs them. */
  version: string
}

export interface SetSecretsResult {
  made: string[]
  where: string
  inForce: boolean
}

/** Makes the secrets that are missing on this machine, and writes them where Mastodon's configuration is kept. */
export const setSecrets: Runbook<SetSecretsOptions, SetSecretsResult> = {
  name: 'keys:secrets',
  check: async toolbox => configOf(toolbox).writable(),
  consent: async (toolbox, { names }) => {
    if (names.length === 0) return { kind: 'none' }
    const question = `Make ${names.join(', ')}, and store them in ${configOf(toolbox).where}?`
    return { kind: 'yes', question: `${question} If there ever were others, put those back instead.` }
  },
  steps: async (toolbox, options) => configSteps(toolbox, changeOf(toolbox, options)),
  result: async (toolbox, { names }, noted) => {
    const config = configOf(toolbox)
    const [running, stored] = [await config.running(), await config.stored()]
    await settleCopy(toolbox, noted)
    const inForce = names.every(name => running.get(name) === stored.get(name))
    return { made: noted('written') === undefined ? [] : names, where: config.where, inForce }
  },
}

function changeOf(toolbox: Toolbox, { names, version }: SetSecretsOptions): ConfigChange {
  return {
    keys: names,
    title: where => `Make ${names.join(', ')}, and write them to ${where}`,
    values: async () => {
      const standing = await standingOf(toolbox)
      const { make } = planSecrets(MastodonVersion.of(version), standing)
      const wanted = make.filter(({ name }) => names.includes(name))
      if (wanted.length < names.length) throw setMeanwhile(names.filter(name => !wanted.some(one => one.name === name)))
      return newSecrets(wanted, standing.stored)
    },
    unneeded: async () => (names.length === 0 ? 'none is missing' : undefined),
    roles: ROLES,
    restart: true,
  }
}

function setMeanwhile(names: readonly string[]): RefusedError {
  return new RefusedError({
    code: 'secret-exists',
    message: `${names.join(', ')} was set by somebody else since: it is not replaced.`,
    next: 'mstdn-ops keys:secrets --set (makes what is still missing)',
  })
}
