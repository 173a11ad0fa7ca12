#!/usr/bin/env node
// Writes docs/reference.md from the command manifest; with --check fails when it is stale.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const path = name => fileURLToPath(new URL(`../${name}`, import.meta.url))
const manifest = JSON.parse(readFileSync(path('oclif.manifest.json'), 'utf8'))
const commands = Object.values(manifest.commands)
  .filter(command => !command.hidden)
  .sort((a, b) => a.id.localeCompare(b.id))

const GLOBAL = 'GLOBAL'
const oneLine = text => (text ?? '').replaceAll('\n', ' ').replaceAll('|', '\\|')
const isGlobal = flag => flag.helpGroup === GLOBAL || flag.name === 'json'
const words = text => text.replaceAll('<%= config.bin %>', 'mstdn-ops')

function usage(command) {
  const args = Object.values(command.args ?? {}).map(arg =>
    arg.required ? arg.name.toUpperCase() : `[${arg.name.toUpperCase()}]`,
  )
  const own = Object.values(command.flags).some(flag => !isGlobal(flag))
  return (
    ['mstdn-ops', command.id, ...args, ...(own ? ['[flags]'] : [])].join(' ') + (command.strict === false ? ' …' : '')
  )
}

function flagRow(flag) {
  const short = flag.char ? `-${flag.char}, ` : ''
  const value =
    flag.type === 'option' ? ` ${flag.helpValue ?? (flag.options ? flag.options.join('\\|') : 'VALUE')}` : ''
  const aliases = flag.aliases?.length ? ` (also ${flag.aliases.map(alias => `--${alias}`).join(', ')})` : ''
  const standard = flag.default !== undefined && flag.type === 'option' ? ` Default: ${flag.default}.` : ''
  return `| \`${short}--${flag.allowNo ? '[no-]' : ''}${flag.name}${value}\` | ${oneLine(flag.summary ?? flag.description)}${aliases}${standard}${flag.required ? ' Required.' : ''} |`
}

function flagTable(flags) {
  return flags.length === 0 ? [] : ['', '| flag | meaning |', '| --- | --- |', ...flags.map(flagRow)]
}

function section(command) {
  const args = Object.values(command.args ?? {}).map(
    arg => `- \`${arg.name.toUpperCase()}\`: ${oneLine(arg.description)}`,
  )
  const own = Object.values(command.flags).filter(flag => !isGlobal(flag))
  const examples = (command.examples ?? []).map(example =>
    words(typeof example === 'string' ? example : example.command).replaceAll('<%= command.id %>', command.id),
  )
  return [
    `## ${command.id}`,
    '',
    command.summary ?? '',
    ...(command.description ? ['', command.description] : []),
    '',
    '```',
    usage(command),
    '```',
    ...(args.length > 0 ? ['', ...args] : []),
    ...flagTable(own),
    ...(examples.length > 0 ? ['', 'Examples:', '', '```', ...examples, '```'] : []),
    '',
  ]
}

const globals = Object.values(commands[0].flags).filter(isGlobal)
const text = [
  '# Command reference',
  '',
  'Made from the commands themselves by `node scripts/reference.js`; do not edit.',
  '',
  '## Global flags',
  ...flagTable(globals),
  '',
  '## Exit codes',
  '',
  '| code | meaning |',
  '| --- | --- |',
  '| 0 | done, or nothing to do |',
  '| 1 | a bug or something unforeseen |',
  '| 2 | usage: bad or missing flag, argument, answer, confirmation or configuration |',
  '| 3 | refused by a check, or a confirmation that does not match; nothing was changed |',
  '| 4 | failed, and undone: things are as they were before |',
  '| 5 | failed, and not (wholly) undone: the message says what is left and the command that goes on |',
  '| 6 | locked: another run is under way |',
  '| 7 | the check ran and the answer is bad |',
  '| 8 | outcome unknown: the connection to a remote process was lost |',
  '| 130 | interrupted, and undone |',
  '',
  '`run -- COMMAND` passes the code of the command through.',
  '',
  ...commands.flatMap(section),
].join('\n')

if (process.argv.includes('--check')) {
  if (readFileSync(path('docs/reference.md'), 'utf8') !== text) {
    console.error('docs/reference.md is stale: run `node scripts/build.js && node scripts/reference.js` and commit it.')
    process.exitCode = 1
  }
} else {
  writeFileSync(path('docs/reference.md'), text)
}
