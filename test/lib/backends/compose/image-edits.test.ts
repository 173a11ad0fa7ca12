/* biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are compose's variables */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { imageEdits } from '../../../../src/lib/backends/compose/image-edits.js'
import { FROM, SHAPES, STREAMING, TO } from '../../../support/image-shapes.js'

const folders: string[] = []
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true })
})

const WANTED = [
  { service: 'web', from: FROM, to: TO },
  { service: 'sidekiq', from: FROM, to: TO },
  { service: 'streaming', from: FROM, to: STREAMING },
]
const MAIN = /^(docker-)?compose(\.override)?\.ya?ml$/

function written(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'mstdn-ops-images-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  return folder
}

/** Returns the new text of each file that changes, by its name. */
async function changes(
  files: Readonly<Record<string, string>>,
  given?: readonly string[],
  shell: [string, string][] = [],
) {
  const folder = written(files)
  const main = given ?? Object.keys(files).filter(name => MAIN.test(name))
  const where = { files: main.map(name => join(folder, name)), envFiles: [join(folder, '.env')], shell: new Map(shell) }
  const texts = await imageEdits(WANTED, where)
  return Object.fromEntries([...texts].map(([path, text]) => [path.slice(folder.length + 1), text]))
}

/** Lines that are the same count up: `line`, `line\n#2`, `line\n#3`. */
function numbered(lines: readonly string[]): string[] {
  const seen = new Map<string, number>()
  return lines.map(line => {
    const count = (seen.get(line) ?? 0) + 1
    seen.set(line, count)
    return count === 1 ? line : `${line}\n#${count}`
  })
}

test.each(SHAPES)('$title', async ({ files, given, after, added = [] }) => {
  const changed = await changes(files, given)
  const unused = new Set(Object.keys(after))
  for (const [name, text] of Object.entries(files)) {
    const expected = numbered(text.split('\n')).map(line => {
      unused.delete(line)
      return after[line] ?? line.split('\n#')[0]
    })
    const found = (changed[name] ?? text).split('\n').filter(line => !added.includes(line))
    expect(found, name).toEqual(expected)
  }
  expect([...unused]).toEqual([])
  for (const line of added) expect(Object.values(changed).join('\n')).toContain(line)
})

const shape = (...lines: string[]) => ({ 'compose.yaml': `services:\n${lines.join('\n')}\n` })
const REST = [`  sidekiq: {image: '${FROM}'}`, `  streaming: {image: '${FROM}'}`]

test('a variable of the shell is refused, for it would be stronger the next time', async () => {
  const files = { ...shape('  web: {image: "ghcr.io/mastodon/mastodon:${V}"}', ...REST), '.env': 'V=v4.2.9\n' }
  await expect(changes(files, undefined, [['V', 'v4.2.9']])).rejects.toMatchObject({ code: 'image-in-shell' })
  expect(Object.keys(await changes(files))).toEqual(['compose.yaml', '.env'])
})

test('what is not written where it could be changed is refused by name', async () => {
  const refusal = (code: string, service: string) => ({ code, message: expect.stringContaining(service) })
  const block = [`  web:\n    image: >-\n      ${FROM}`, ...REST]
  await expect(changes(shape(...block))).rejects.toMatchObject(refusal('image-not-found', 'web'))
  await expect(changes(shape('  web: {build: .}', ...REST))).rejects.toMatchObject(refusal('image-not-found', 'web'))
  await expect(changes(shape('  web: {image: other/mastodon:v1}', ...REST))).rejects.toMatchObject({
    why: expect.stringContaining('Compose reads'),
  })
  const alias = [`  web: &web\n    image: ${FROM}`, '  sidekiq: *web', '  streaming: *web']
  await expect(changes(shape(...alias))).rejects.toMatchObject(refusal('image-shared', 'streaming'))
  await expect(changes({ 'compose.yaml': 'services: [' })).rejects.toMatchObject({ code: 'compose-file-not-yaml' })
})
