#!/usr/bin/env node
// Builds dist/: one ES module per command with shared chunks, the command manifest, and the quick answers.
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { readdir, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'

const root = fileURLToPath(new URL('..', import.meta.url))
const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))

// The framework is bundled since every command needs it; the rest is loaded from its package when it is needed.
const BUNDLED = new Set(['@oclif/core', 'semver'])
const external = Object.keys({ ...packageJson.dependencies, ...packageJson.optionalDependencies }).filter(
  name => !BUNDLED.has(name),
)

async function commandFiles() {
  const names = await readdir(join(root, 'src/commands'), { recursive: true })
  return names.filter(name => name.endsWith('.ts')).map(name => join('src/commands', name))
}

async function bundle() {
  const fresh = join(root, `dist.new-${process.pid}`)
  await build({
    absWorkingDir: root,
    entryPoints: ['src/start.ts', 'src/quick.ts', 'src/lib/help.ts', ...(await commandFiles())],
    outbase: 'src',
    outdir: fresh,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: [...external, 'pg-native', 'typescript', 'ts-node', 'tsx'],
    chunkNames: 'chunks/[name]-[hash]',
    sourcemap: false,
    logLevel: 'warning',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; import { fileURLToPath as __toPath } from 'node:url'; import { dirname as __dirnameOf } from 'node:path'; const require = __createRequire(import.meta.url); const __filename = __toPath(import.meta.url); const __dirname = __dirnameOf(__filename);",
    },
  })
  await swapIn(fresh)
}

// A command that runs meanwhile finds either the old build or the new one.
async function swapIn(fresh) {
  const dist = join(root, 'dist')
  const former = `${fresh}.former`
  await rename(dist, former).catch(() => undefined)
  await rename(fresh, dist)
  await rm(former, { recursive: true, force: true })
}

async function writeManifest() {
  const { Plugin } = await import('@oclif/core')
  const plugin = new Plugin({
    root,
    type: 'core',
    ignoreManifest: true,
    errorOnManifestCreate: true,
    respectNoCacheDefault: true,
  })
  await plugin.load()
  const file = join(root, 'oclif.manifest.json')
  await writeFile(`${file}.new`, `${JSON.stringify(plugin.manifest, null, 2)}\n`)
  await rename(`${file}.new`, file)
}

async function writeQuickAnswers() {
  await writeFile(join(root, 'dist/version.txt'), `mstdn-ops/${packageJson.version}\n`)
  const env = { ...process.env, NO_COLOR: '1', COLUMNS: '80', OCLIF_COLUMNS: '80' }
  const help = execFileSync(process.execPath, [join(root, 'bin/run.js'), '--help'], { env, encoding: 'utf8' })
  await writeFile(join(root, 'dist/help.txt'), help)
}

await bundle()
await writeManifest()
await writeQuickAnswers()
