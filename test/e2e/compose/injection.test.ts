import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { injectionTable } from '../injection.js'
import { startStack } from './bed/bed.js'

injectionTable(async () => {
  const stack = await startStack({ version: '4.5.3' })
  return {
    cwd: stack.projectDir,
    env: {},
    setFlags: ['--no-restart'],
    psql: sql => stack.psql(sql),
    redis: (...args) => stack.redis(...args),
    configuration: () => readFile(join(stack.projectDir, '.env.production'), 'utf8'),
    holds: async path => {
      const looks = await Promise.all(['web', 'db'].map(service => stack.exec(service, ['ls', path])))
      return looks.some(({ code }) => code === 0)
    },
    stop: () => stack.stop(),
  }
})
