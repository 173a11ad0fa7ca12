import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))

function sources(folder: string): { path: string; text: string }[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => ({ path: join(folder, name), text: readFileSync(join(root, folder, name), 'utf8') }))
}

/** Returns `path:line` of every line that the expression finds, comments left out. */
function findings(files: readonly { path: string; text: string }[], pattern: RegExp): string[] {
  return files.flatMap(({ path, text }) =>
    text
      .split('\n')
      .flatMap((line, at) =>
        !/^\s*(\/\/|\*|\/\*)/.test(line) && pattern.test(line) ? [`${path}:${at + 1}: ${line.trim()}`] : [],
      ),
  )
}

describe('the boundaries that the linter cannot express', () => {
  it('runbooks, checks and queries ask for a facet, never for a backend by name', () => {
    const files = [...sources('src/lib/runbooks'), ...sources('src/lib/checks'), ...sources('src/lib/mastodon')]
    expect(findings(files, /backend\.kind\s*[!=]==|[!=]==\s*'(compose|heroku|direct|sandbox)'/)).toEqual([])
  })

  it('versions of Mastodon are compared in src/lib/mastodon alone', () => {
    const files = [...sources('src/lib'), ...sources('src/commands')].filter(
      ({ path }) => !path.startsWith('src/lib/mastodon/') && !path.includes('/sandbox/'),
    )
    expect(findings(files, /\.(atLeast|before|compare)\(\s*['"`\d]/)).toEqual([])
  })

  it('the heavy packages are imported when they are used, not when a file is loaded', () => {
    const heavy =
      /^import (?!type\b)(?!.*\btype \w+ \}).*from '(pg|ioredis|execa|listr2|inquirer|yaml|valibot|cli-table3|age-encryption)'/
    const lazyFiles = ['src/lib/configuration/file.ts']
    const files = [...sources('src')].filter(({ path }) => !lazyFiles.includes(path))
    expect(findings(files, heavy)).toEqual([])
  })

  it('no file of a command is long', () => {
    const long = sources('src/commands').filter(({ text }) => text.split('\n').length > 120)
    expect(long.map(({ path }) => path)).toEqual([])
  })
})
