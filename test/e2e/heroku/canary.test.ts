import { canaryTable } from '../canary.js'
import { must } from '../compose/bed/process.js'
import { startHerokuApp } from './bed.js'

const FULL = process.env.MSTDN_TEST_FULL !== undefined
const DOMAIN = ['--confirm', 'mastodon.example']

canaryTable({
  half: 1,
  names: [
    ...['SECRET_KEY_BASE', 'SMTP_PASSWORD', 'VAPID_PRIVATE_KEY', 'AWS_SECRET_ACCESS_KEY', 'ES_PASS'],
    ...['DETERMINISTIC_KEY', 'KEY_DERIVATION_SALT', 'PRIMARY_KEY'].map(name => `ACTIVE_RECORD_ENCRYPTION_${name}`),
  ],
  // Files and assets are refused, and so is `--no-restart`, for each write restarts the app.
  exits: { cp: [3], 'assets:precompile': [3] },
  lines: {
    'config:set': [{ words: ['SMTP_PASSWORD'], stdin: 'VALUE\n' }],
    'db:reset': [{ words: DOMAIN }, ...(FULL ? [{ words: ['--new-database', 'essential-1', ...DOMAIN] }] : [])],
    'db:restore': [{ words: ['latest', ...DOMAIN] }, { words: ['latest', '--new-database', 'essential-1', ...DOMAIN] }],
    'db:verify': [{ words: ['latest'] }, { words: ['latest', '--drill'], exits: [3] }],
  },
  flags: [['--json']],
  plant: async config => {
    const app = await startHerokuApp({ version: '4.5.3', config })
    const env = { ...app.env, HEROKU_APP: app.app }
    return {
      cwd: app.home,
      env,
      variables: () => must('heroku', ['run', '--exit-code', '--no-tty', '--app', app.app, '--', 'env'], { env }),
      stop: () => app.stop(),
    }
  },
})
