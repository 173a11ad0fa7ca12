import { encryptsPrivateKeys, hasEncryptionKeys } from '../mastodon/health.js'
import { isUsable, secretsOf } from '../mastodon/secrets.js'
import { bad, type Check, notApplicable, notHere, ok } from './check.js'

export const encryptionKeys: Check = {
  id: 'encryption-keys',
  title: 'The encryption keys are set',
  for: ['upgrade', 'restore'],
  run: async toolbox => {
    if (toolbox.backend.config === undefined) return notHere(toolbox, 'configuration')
    const version = await toolbox.app.version()
    if (!hasEncryptionKeys(version)) return notApplicable(`Mastodon ${version} has none.`)
    const config = await toolbox.app.config()
    const keys = secretsOf(version).filter(secret => secret.kind === 'encryption')
    const missing = keys.filter(({ name }) => !isUsable(config.get(name))).map(({ name }) => name)
    if (missing.length === 0) return ok('All three are set. Keep them with every backup of the database.')
    const loses = encryptsPrivateKeys(version)
      ? "two-factor secrets and the accounts' private keys"
      : 'two-factor secrets'
    const fix = `Put back the keys that this database was written with. Only where it never had any: mstdn-ops run -- bin/rails db:encryption:init prints new ones, mstdn-ops config:set ${missing[0]} sets one`
    return bad(`${missing.join(', ')} missing, empty or a placeholder: without them ${loses} cannot be read.`, fix)
  },
}
