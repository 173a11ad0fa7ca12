import type { MastodonVersion } from './version.js'

/** The object stores that Mastodon knows, by the variable that turns each on. Source: config/initializers/paperclip.rb. */
const STORES: readonly { on: string; bucket: string }[] = [
  { on: 'S3_ENABLED', bucket: 'S3_BUCKET' },
  { on: 'SWIFT_ENABLED', bucket: 'SWIFT_CONTAINER' },
  { on: 'AZURE_ENABLED', bucket: 'AZURE_CONTAINER_NAME' },
]

/**
 * Returns the bucket that the media are in, undefined where they are files. Without a name for it, the variable that
 * turns the store on.
 */
export function mediaBucket(config: ReadonlyMap<string, string>): string | undefined {
  const store = STORES.find(({ on }) => config.get(on) === 'true')
  return store && (config.get(store.bucket) || store.on)
}

/** What of the media's folder are copies that other servers hold. */
export interface RemoteMedia {
  /** Folders that hold nothing else. */
  folders: readonly string[]
  /** What lies among the media of this server, in words. */
  among: string
}

/**
 * Returns which media are copies. From 3.1.4 they have a folder of their own, but what came before stays where it was
 * until `tootctl upgrade storage-schema` moves it. Before, every class has its folders for all servers alike, and the
 * ids in the paths of the early releases are cut (17 digits by threes), so that they name no row for certain: what is
 * not known to be a copy counts as ours. Source: config/initializers/paperclip.rb, `:prefix_path`.
 */
export function remoteMedia(version: MastodonVersion): RemoteMedia {
  return version.atLeast('3.1.4')
    ? { folders: ['cache'], among: 'copies that were fetched before Mastodon 3.1.4, and not moved since' }
    : { folders: ['preview_cards'], among: 'copies of other servers’ media: this version keeps them among its own' }
}
