import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { root } from '../support/cli.js'

interface Manifest {
  commands: Record<
    string,
    {
      id: string
      summary?: string
      hidden?: boolean
      enableJsonFlag: boolean
      args: Record<string, { name: string; required?: boolean; description?: string }>
      flags: Record<
        string,
        {
          name: string
          type: string
          char?: string
          options?: string[]
          helpGroup?: string
          summary?: string
          description?: string
        }
      >
    }
  >
}

const { commands } = JSON.parse(readFileSync(join(root, 'oclif.manifest.json'), 'utf8')) as Manifest
const all = Object.values(commands).sort((a, b) => a.id.localeCompare(b.id))
const GLOBAL = ['instance', 'backend', 'app', 'project-dir', 'dry-run', 'yes', 'quiet', 'log-level', 'json']

describe('the surface that scripts rely on', () => {
  it('has the commands, arguments and flags of the snapshot', async () => {
    const lines = all.flatMap(command => [
      [
        command.id,
        ...Object.values(command.args).map(arg =>
          arg.required ? arg.name.toUpperCase() : `[${arg.name.toUpperCase()}]`,
        ),
      ].join(' '),
      ...Object.values(command.flags)
        .filter(flag => !GLOBAL.includes(flag.name))
        .map(
          flag =>
            `  --${flag.name}${flag.char ? ` -${flag.char}` : ''}${flag.type === 'option' ? ` ${flag.options?.join('|') ?? 'VALUE'}` : ''}`,
        )
        .sort(),
    ])
    await expect(`${lines.join('\n')}\n`).toMatchFileSnapshot('surface.snap.txt')
  })

  it.each(all.map(command => [command.id, command] as const))(
    '%s has every global flag and says what it does',
    (_id, command) => {
      for (const name of GLOBAL) expect(Object.keys(command.flags)).toContain(name)
      expect(command.summary).toMatch(/^[A-Z].*\.$/)
      for (const flag of Object.values(command.flags))
        expect(flag.summary ?? flag.description, `--${flag.name}`).toBeTruthy()
      for (const arg of Object.values(command.args)) expect(arg.description, arg.name).toBeTruthy()
    },
  )
})
