import { rm } from 'node:fs/promises'
import { basename, resolve } from 'node:path'
import { buildImages, ensureEngine, openStack, startStack, sweep, versions } from './bed.js'

const usage = `By hand:
  node --import tsx test/e2e/compose/bed/cli.ts build [VERSION…]
  node --import tsx test/e2e/compose/bed/cli.ts up VERSION FOLDER [KEY=VALUE…]   options of StackOptions, e.g. variant=lean sidekiq=split
  node --import tsx test/e2e/compose/bed/cli.ts down FOLDER
  node --import tsx test/e2e/compose/bed/cli.ts sweep                           removes every leftover of the bed
Versions: ${versions.join(' ')}
`

async function main([command, ...words]: string[]): Promise<number> {
  if (command === 'build') return done(ensureEngine().then(() => buildImages(words.length > 0 ? words : undefined)))
  if (command === 'up' && words[0] && words[1]) return up(words[0], resolve(words[1]), words.slice(2))
  if (command === 'down' && words[0]) return down(resolve(words[0]))
  if (command === 'sweep') return done(sweep())
  process.stderr.write(usage)
  return 2
}

async function up(version: string, projectDir: string, settings: string[]): Promise<number> {
  const more = Object.fromEntries(
    settings.map(setting => [setting.slice(0, setting.indexOf('=')), value(setting.slice(setting.indexOf('=') + 1))]),
  )
  const stack = await startStack({ version, projectDir, ...more })
  console.log(`${stack.projectName} is up in ${projectDir} (folder ${basename(projectDir)}), domain ${stack.domain}`)
  return 0
}

function value(text: string): string | boolean {
  return text === 'true' ? true : text === 'false' ? false : text
}

async function down(projectDir: string): Promise<number> {
  await (await openStack(projectDir)).stop()
  await rm(projectDir, { recursive: true, force: true })
  return 0
}

async function done(running: Promise<unknown>): Promise<number> {
  await running
  return 0
}

process.exitCode = await main(process.argv.slice(2))
