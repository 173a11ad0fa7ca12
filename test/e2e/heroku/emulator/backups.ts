import { randomBytes, randomUUID } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, readFile, rm, stat, truncate } from 'node:fs/promises'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import type { Database, Servers } from '../servers.js'
import type { Addon } from './app.js'
import { notFound, Refusal } from './exchange.js'
import { type Faults, HTML_PAGE } from './faults.js'
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
  canceled_at: string | null
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
  readonly faults: Faults
}

/** `pg:backups`: real dumps in files, which a server of their own gives away by https to who knows the signature. */
export class Backups {
  transfers: Transfer[] = []
  readonly #options: BackupsOptions
  readonly #server: Server
  readonly #signatures = new Map<string, string>()
  #port = 0
  #count = 0

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
      if (this.#options.faults.takes('transfer-fails')) await this.#breakOff(transfer.uuid)
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
      if (this.#options.faults.takes('transfer-fails')) await this.#restoreHalf(addon.database, file)
      const complaint = await this.#options.servers.restore(addon.database, file)
      if (complaint) throw new Error(complaint)
      return (await stat(file)).size
    })
    return transfer
  }

  /** Ends what is under way. */
  cancel(key: string): Transfer {
    const transfer = this.transferOf(key)
    if (transfer.finished_at) throw new Refusal(409, 'conflict', 'This transfer has finished.')
    transfer.canceled_at = transfer.finished_at = transfer.updated_at = time(new Date())
    transfer.succeeded = false
    return transfer
  }

  async remove(key: string): Promise<Transfer> {
    const transfer = this.transferOf(key)
    this.transfers = this.transfers.filter(other => other !== transfer)
    await rm(this.#file(transfer.uuid), { force: true })
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
      ...{ uuid, num: ++this.#count, ...part, to_url: this.#urlOf(uuid), created_at: at, started_at: at },
      ...{
        finished_at: null,
        canceled_at: null,
        updated_at: at,
        succeeded: null,
        processed_bytes: 0,
        source_bytes: 0,
        warnings: 0,
      },
      ...{ errors: 0, logs: [], schedule: null, options: {} },
    }
    this.transfers.push(transfer)
    return transfer
  }

  async #work(transfer: Transfer, work: () => Promise<number>): Promise<void> {
    if (this.#options.faults.takes('transfer-hangs')) {
      transfer.processed_bytes = 4096
      return
    }
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

  /** What pg_dump leaves when its connection is lost. */
  async #breakOff(uuid: string): Promise<never> {
    await truncate(this.#file(uuid), Math.floor((await stat(this.#file(uuid))).size / 2))
    throw new Error('pg_dump: error: query failed: server closed the connection unexpectedly\nwaiting for restart')
  }

  /** The tables are there again, and empty. */
  async #restoreHalf(database: Database, file: string): Promise<never> {
    await this.#options.servers.restore(database, file, ['--schema-only'])
    throw new Error('pg_restore: error: server closed the connection unexpectedly')
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
    void this.#send(this.#file(uuid), request.url ?? '', response).catch(() => response.destroy())
  }

  async #send(file: string, address: string, response: ServerResponse): Promise<void> {
    const { faults } = this.#options
    if (faults.takes('download-403')) return page(response, 403)
    if (faults.takes('download-page')) return page(response, 200)
    if (faults.takes('download-moved')) return moved(response, address)
    if (faults.takes('download-moved-http')) return moved(response, `http://127.0.0.1:${this.#port}${address}`)
    const bytes = await readFile(file)
    const half = bytes.subarray(0, Math.floor(bytes.length / 2))
    const type = { 'Content-Type': 'application/octet-stream' }
    if (faults.takes('download-short')) return void response.writeHead(200, type).end(half)
    response.writeHead(200, { ...type, 'Content-Length': String(bytes.length) })
    if (faults.takes('download-cut')) response.write(half, () => response.destroy())
    else response.end(bytes)
  }
}

function page(response: ServerResponse, status: number): void {
  response.writeHead(status, { 'Content-Type': 'text/html' })
  response.end(HTML_PAGE)
}

function moved(response: ServerResponse, to: string): void {
  response.writeHead(302, { Location: to }).end()
}
