import { randomBytes, randomUUID } from 'node:crypto'
import { createReadStream, createWriteStream } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { Servers } from '../servers.js'
import type { Addon } from './app.js'
import { notFound } from './exchange.js'
import { time } from './shapes.js'

/** A backup or a restore, as the data API writes it. */
export interface Transfer {
  readonly uuid: string
  readonly num: number
  readonly from_name: string
  readonly from_type: 'pg_dump' | 'gof3r'
  readonly to_name: string
  readonly to_type: 'gof3r' | 'pg_restore'
  readonly to_url: string
  readonly created_at: string
  readonly started_at: string
  finished_at: string | null
  updated_at: string
  succeeded: boolean | null
  processed_bytes: number
  source_bytes: number
  warnings: number
  errors: number
  logs: { readonly created_at: string; readonly level: string; readonly message: string }[]
  readonly schedule: null
  readonly options: Record<string, never>
}

export interface BackupsOptions {
  readonly dir: string
  readonly servers: Servers
  readonly tls: { readonly cert: string; readonly key: string }
}

/** `pg:backups`: real dumps in files, which a server of their own gives away by https to who knows the signature. */
export class Backups {
  readonly transfers: Transfer[] = []
  readonly #options: BackupsOptions
  readonly #server: Server
  readonly #signatures = new Map<string, string>()
  #port = 0

  constructor(options: BackupsOptions) {
    this.#options = options
    this.#server = createServer(options.tls, (request, response) => this.#give(request, response))
  }

  async listen(): Promise<void> {
    await mkdir(this.#options.dir, { recursive: true })
    await new Promise<void>(resolve => this.#server.listen(0, '127.0.0.1', resolve))
    this.#port = (this.#server.address() as { port: number }).port
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  transferOf(key: string): Transfer {
    const found = this.transfers.find(({ uuid, num }) => uuid === key || String(num) === key)
    if (!found) throw notFound('transfer', 'transfer')
    return found
  }

  /** Starts a dump and returns at once. */
  capture(addon: Addon): Transfer {
    const transfer = this.#newTransfer({
      from_name: 'DATABASE',
      from_type: 'pg_dump',
      to_name: 'BACKUP',
      to_type: 'gof3r',
    })
    void this.#work(transfer, async () => {
      if (!addon.database) throw new Error('this add-on holds no database')
      await this.#options.servers.dump(addon.database, this.#file(transfer.uuid))
      return (await stat(this.#file(transfer.uuid))).size
    })
    return transfer
  }

  /** Starts a restore from a backup's own URL or any other, and returns at once. */
  restore(addon: Addon, url: string): Transfer {
    const transfer = this.#newTransfer({
      from_name: 'BACKUP',
      from_type: 'gof3r',
      to_name: 'DATABASE',
      to_type: 'pg_restore',
    })
    void this.#work(transfer, async () => {
      if (!addon.database) throw new Error('this add-on holds no database')
      const file = await this.#fetch(url, transfer.uuid)
      const complaint = await this.#options.servers.restore(addon.database, file)
      if (complaint) throw new Error(complaint)
      return (await stat(file)).size
    })
    return transfer
  }

  /** Returns an URL that opens without a token, for a while. */
  publicUrl(key: string): { url: string; expires_at: string } {
    const { uuid } = this.transferOf(key)
    const signature = randomBytes(16).toString('hex')
    this.#signatures.set(signature, uuid)
    const expires = time(new Date(Date.now() + 3_600_000))
    return { url: `${this.#urlOf(uuid)}?X-Amz-Expires=3600&X-Amz-Signature=${signature}`, expires_at: expires }
  }

  #urlOf(uuid: string): string {
    return `https://127.0.0.1:${this.#port}/${uuid}`
  }

  #file(uuid: string): string {
    return join(this.#options.dir, `${uuid}.dump`)
  }

  #newTransfer(part: Pick<Transfer, 'from_name' | 'from_type' | 'to_name' | 'to_type'>): Transfer {
    const at = time(new Date())
    const uuid = randomUUID()
    const transfer: Transfer = {
      ...{ uuid, num: this.transfers.length + 1, ...part, to_url: this.#urlOf(uuid), created_at: at, started_at: at },
      ...{ finished_at: null, updated_at: at, succeeded: null, processed_bytes: 0, source_bytes: 0, warnings: 0 },
      ...{ errors: 0, logs: [], schedule: null, options: {} },
    }
    this.transfers.push(transfer)
    return transfer
  }

  async #work(transfer: Transfer, work: () => Promise<number>): Promise<void> {
    try {
      transfer.processed_bytes = await work()
      transfer.source_bytes = transfer.processed_bytes
      transfer.succeeded = true
    } catch (error) {
      const created_at = time(new Date())
      const lines = (error as Error).message.split('\n').filter(Boolean)
      transfer.logs = lines.map(message => ({ created_at, level: 'error', message }))
      transfer.succeeded = false
      transfer.errors = 1
    }
    transfer.finished_at = transfer.updated_at = time(new Date())
  }

  /** The platform reads its own backups without a signature. */
  async #fetch(url: string, uuid: string): Promise<string> {
    const own = /^https:\/\/127\.0\.0\.1:(\d+)\/([0-9a-f-]{36})/.exec(url)
    if (own && Number(own[1]) === this.#port) return this.#file(own[2] ?? '')
    const response = await fetch(url)
    if (!response.ok || !response.body) throw new Error(`could not download the backup: ${response.status}`)
    await pipeline(Readable.fromWeb(response.body as ReadableStream), createWriteStream(this.#file(uuid)))
    return this.#file(uuid)
  }

  #give(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? '/', this.#urlOf(''))
    const uuid = this.#signatures.get(url.searchParams.get('X-Amz-Signature') ?? '')
    if (uuid === undefined || url.pathname !== `/${uuid}`) {
      response.writeHead(403, { 'Content-Type': 'application/xml' })
      response.end('<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>AccessDenied</Code></Error>')
      return
    }
    response.writeHead(200, { 'Content-Type': 'application/octet-stream' })
    pipeline(createReadStream(this.#file(uuid)), response).catch(() => response.destroy())
  }
}
