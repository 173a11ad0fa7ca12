import { messageOf } from '../errors.js'

/** Milliseconds: a backup does not wait longer to say something that is good to know. */
const PATIENCE_MS = 5_000

/** Returns whether the store keeps former versions of what is changed or deleted, or why that could not be asked. */
export type BucketVersions = { versions: boolean } | { versions: null; why: string }

/**
 * Asks the store of S3's kind (`GetBucketVersioning`), with the instance's own credentials. Source of the variables and
 * their defaults: config/initializers/paperclip.rb.
 */
export async function bucketVersions(config: ReadonlyMap<string, string>, bucket: string): Promise<BucketVersions> {
  if (config.get('S3_ENABLED') !== 'true') return { versions: null, why: 'only stores of the kind of S3 are asked' }
  const [id, secret] = [config.get('AWS_ACCESS_KEY_ID'), config.get('AWS_SECRET_ACCESS_KEY')]
  if (!id || !secret) return { versions: null, why: 'no credentials for it are configured' }
  try {
    const text = await ask(config, bucket, { accessKeyId: id, secretAccessKey: secret })
    return { versions: /<Status>\s*Enabled\s*<\/Status>/.test(text) }
  } catch (error) {
    return { versions: null, why: `the store did not say: ${messageOf(error)}` }
  }
}

async function ask(
  config: ReadonlyMap<string, string>,
  bucket: string,
  credentials: { accessKeyId: string; secretAccessKey: string },
): Promise<string> {
  const { sign } = (await import('aws4')).default
  const region = config.get('S3_REGION') || 'us-east-1'
  const endpoint = new URL(config.get('S3_ENDPOINT') || `https://s3.${region}.amazonaws.com`)
  const path = `${endpoint.pathname.replace(/\/$/, '')}/${encodeURIComponent(bucket)}?versioning=`
  const { headers = {} } = sign({ service: 's3', region, host: endpoint.host, path, method: 'GET' }, credentials)
  // What is sent under another name than what was signed is refused: `Host` is set by the address.
  const { Host: _, ...signed } = headers as Record<string, string>
  const answer = await fetch(new URL(path, endpoint), { headers: signed, signal: AbortSignal.timeout(PATIENCE_MS) })
  if (!answer.ok) throw new Error(`status ${answer.status}`)
  return answer.text()
}
