import { canaryTable } from '../canary.js'
import { startStack } from './bed/bed.js'

canaryTable({
  half: 0,
  names: [
    ...['SECRET_KEY_BASE', 'SMTP_PASSWORD', 'DB_PASS', 'VAPID_PRIVATE_KEY', 'AWS_SECRET_ACCESS_KEY', 'ES_PASS'],
    ...['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(name => `ACTIVE_RECORD_ENCRYPTION_${name}`),
  ],
  plant: async environment => {
    const stack = await startStack({ version: '4.5.3', environment })
    return {
      cwd: stack.projectDir,
      env: {},
      variables: async () => (await stack.exec('web', ['env'])).stdout,
      stop: () => stack.stop(),
    }
  },
})
