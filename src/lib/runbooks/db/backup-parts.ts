import { encryptTo } from '../../backups/encryption.js'
import type { FilePart, Manifest } from '../../backups/manifest.js'
import type { Draft } from '../../backups/manifest-of.js'
import { keepMedia, mediaUnasked } from '../../backups/media.js'
import { mediaFolder, refuseLost, weighMedia } from '../../backups/media-folder.js'
import type { PartOptions } from '../../backups/part-file.js'
import { dumpPath, keepRedis, redisPlace } from '../../backups/redis.js'
import { keepSecrets, storedVariables } from '../../backups/secrets-file.js'
import { mediaBucket } from '../../mastodon/media.js'
import type { Step, StepContext } from '../../runbook/step.js'
import { shellLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'

export interface PartsOptions {
  with: readonly FilePart[]
  bytesPerSecond?: number
}

const NO_RECIPIENT = 'nobody is named to encrypt them to (backups: recipient in mstdn-ops.yaml)'

/**
 * Refuses what cannot be kept here. Returns how many bytes the media need.
 *
 * @throws RefusedError naming the first part that cannot be had.
 */
export async function checkParts(toolbox: Toolbox, { with: parts }: PartsOptions): Promise<number> {
  if (parts.includes('secrets') && toolbox.instance.backups.recipient !== undefined) await storedVariables(toolbox)
  if (parts.includes('redis')) {
    await redisPlace(toolbox)
    await dumpPath(await toolbox.redis())
  }
  const isLocal = mediaBucket(await toolbox.app.config()) === undefined
  return parts.includes('media') && isLocal ? mediaWeight(toolbox) : 0
}

async function mediaWeight(toolbox: Toolbox): Promise<number> {
  const folder = await mediaFolder(toolbox)
  const bytes = await weighMedia(folder)
  if (bytes === 0) await refuseLost(toolbox, folder)
  return bytes
}

/** Returns the steps that keep what was asked for beside the database. */
export function partSteps(draft: Draft, options: PartsOptions): Step[] {
  const steps = { media: mediaStep, redis: redisStep, secrets: secretsStep }
  return (['media', 'redis', 'secrets'] as const)
    .filter(part => options.with.includes(part))
    .map(part => steps[part](draft, options))
}

/** Returns what was asked for and is not in the backup, each as a sentence. */
export function leftOut({ media, recipient }: Manifest, { with: parts }: PartsOptions): string[] {
  return [
    ...(parts.includes('media') && media.kept === 'bucket' ? [`The media are left out: ${inBucket(media)}.`] : []),
    ...(parts.includes('secrets') && recipient === null ? [`The secrets are left out: ${NO_RECIPIENT}.`] : []),
  ]
}

function mediaStep(draft: Draft, options: PartsOptions): Step {
  return {
    id: 'media',
    title: 'Keep the media of this server, the copies of others left out',
    effect: 'read',
    needed: async ({ toolbox }) => {
      draft.media = await mediaUnasked(toolbox)
      return draft.media.kept === 'bucket' ? inBucket(draft.media) : true
    },
    run: async context => {
      await recordMedia(context.toolbox)
      if (context.dryRun) return
      const { file, media } = await keepMedia(context.toolbox, await how(draft, options, context))
      draft.files.push(file)
      draft.media = media
    },
  }
}

async function recordMedia(toolbox: Toolbox): Promise<void> {
  const { place, path, leftOut: folders } = await mediaFolder(toolbox)
  const excluded = folders.map(name => `--exclude=./${name}`)
  const line = `${shellLine(['tar', ...excluded, '-C', path, '-cf', '-', '.'])} > media.tar   # in ${place.where}`
  toolbox.ledger.record({ kind: 'command', exact: line, byHand: line })
}

function inBucket({ bucket, versions, why }: Extract<Manifest['media'], { kept: 'bucket' }>): string {
  const former =
    versions === null
      ? `whether it keeps former versions is not known (${why ?? 'nobody asked'})`
      : KEEPS[`${versions}`]
  return `they are in the bucket ${bucket}, which is not copied; ${former}`
}

const KEEPS = {
  true: 'it keeps former versions of what is deleted',
  false: 'it keeps no former versions: what is deleted there is gone',
}

function redisStep(draft: Draft, options: PartsOptions): Step {
  return {
    id: 'redis',
    title: 'Let Redis save, and keep its dump',
    effect: 'read',
    run: async context => {
      const byHand = (await context.toolbox.redis()).byHand(['BGSAVE'])
      context.toolbox.ledger.record({ kind: 'redis', exact: 'BGSAVE', byHand })
      if (context.dryRun) return
      const { file, redis } = await keepRedis(context.toolbox, await how(draft, options, context))
      draft.files.push(file)
      draft.redis = redis
    },
  }
}

function secretsStep(draft: Draft): Step {
  return {
    id: 'secrets',
    title: 'Keep the app’s variables, encrypted',
    effect: 'read',
    needed: async () => (draft.recipient === null ? `left out, ${NO_RECIPIENT}` : true),
    run: async ({ toolbox, dryRun }) => {
      if (dryRun || draft.recipient === null) return
      draft.files.push(await keepSecrets(toolbox, { dir: draft.partial, seal: await encryptTo(draft.recipient) }))
    },
  }
}

async function how(
  draft: Draft,
  { bytesPerSecond }: PartsOptions,
  { progress, stop }: StepContext,
): Promise<PartOptions> {
  return {
    dir: draft.partial,
    stop,
    onProgress: progress,
    ...(draft.recipient === null ? {} : { seal: await encryptTo(draft.recipient) }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  }
}
