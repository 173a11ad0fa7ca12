import type { Writable } from 'node:stream'
import { OutcomeUnknownError, RefusedError } from '../../errors.js'
import { printableLine } from '../../text.js'
import { readText, records, toRecord } from '../json.js'
import type { Captures, Transfer, TransferWatch } from '../managed-database.js'
import type { HerokuApp } from './app.js'
import { type Attachment, CURRENT, requireAttachment } from './attachments.js'
import type { DataApi } from './data-api.js'
import { downloadDump } from './dump-download.js'
import type { Change } from './platform-api.js'
import { PACE, type Pace, pauses, succeeded, untilOver } from './transfer-wait.js'
import { type HerokuTransfer, plannedTransfer, shownTransfer, transferFrom } from './transfers.js'

/**
 * `pg:backups` and `pg:reset`, by the data API: a transfer is asked for by its uuid, where the CLI prints tables, gives up
 * silently, and takes an empty answer to its prompt for success.
 */
export class HerokuCaptures implements Captures {
  readonly #app: HerokuApp
  readonly #open: () => DataApi
  readonly #pace: Pace
  #data: DataApi | undefined
  #billingApp: string | undefined

  constructor(app: HerokuApp, open: () => DataApi, pace: Pace = PACE) {
    this.#app = app
    this.#open = open
    this.#pace = pace
  }

  async usable(): Promise<void> {
    const { addon } = await this.#attachment()
    await this.#api.read(`/client/v11/databases/${encodeURIComponent(addon.id)}`)
  }

  async list(): Promise<Transfer[]> {
    return (await this.#transfers()).filter(({ kind }) => kind === 'backup').map(shownTransfer)
  }

  async mark(): Promise<string> {
    return String((await this.#transfers())[0]?.num ?? 0)
  }

  async capture(watch: TransferWatch = {}): Promise<Transfer> {
    const { addon } = await this.#attachment()
    return this.#carryOut('backup', watch, {
      method: 'POST',
      path: `/client/v11/databases/${encodeURIComponent(addon.id)}/backups`,
      exact: `make a backup of ${addon.name}, the database of ${this.#app.name}`,
      byHand: this.#app.byHand(['pg:backups:capture']),
    })
  }

  async restore(id: string, watch: TransferWatch & { into?: string } = {}): Promise<Transfer> {
    const { into = CURRENT } = watch
    const [{ addon }, backup] = await Promise.all([requireAttachment(this.#app, into), this.#find(id)])
    if (backup.state !== 'succeeded') throw notWhole(this.#app, backup)
    const target = into === CURRENT ? 'DATABASE_URL' : into
    return this.#carryOut('restore', watch, {
      method: 'POST',
      path: `/client/v11/databases/${encodeURIComponent(addon.id)}/restores`,
      body: { backup_url: backup.url },
      exact: `restore ${backup.id} into ${addon.name} of ${this.#app.name}`,
      byHand: this.#app.byHand(['pg:backups:restore', backup.id, target, '--confirm', this.#app.name]),
    })
  }

  async follow(uuid: string, onProgress?: TransferWatch['onProgress']): Promise<Transfer> {
    return shownTransfer(succeeded(this.#app, await this.#untilOver(uuid, onProgress)))
  }

  async cancel(uuid: string): Promise<void> {
    const { id, state } = await this.#look(uuid)
    if (state !== 'running') return
    const isOver = async () => (await this.#look(uuid)).state !== 'running'
    const change = {
      method: 'POST',
      path: await this.#pathOf(`/${encodeURIComponent(uuid)}/actions/cancel`),
      exact: `cancel ${id} of ${this.#app.name}`,
      byHand: this.#app.byHand(['pg:backups:cancel', id]),
    } as const
    await this.#api.change(change, isOver)
    if (!this.#api.dryRun) await this.#untilOver(uuid)
  }

  async download(id: string, to: Writable): Promise<number> {
    const backup = await this.#find(id)
    if (backup.state !== 'succeeded') throw notWhole(this.#app, backup)
    const { url } = toRecord(await this.#api.ask(await this.#pathOf(`/${backup.num}/actions/public-url`)))
    this.#app.parts.output.redactor.add('address of the dump', readText(url))
    return downloadDump(readText(url), to)
  }

  async reset(isEmpty: () => Promise<boolean>): Promise<void> {
    const { addon } = await this.#attachment()
    await this.#refuseBesideRestore()
    const change = {
      method: 'PUT',
      path: `/client/v11/databases/${encodeURIComponent(addon.id)}/reset`,
      body: {},
      exact: `delete all data in ${addon.name}, the database of ${this.#app.name}`,
      byHand: this.#app.byHand(['pg:reset', 'DATABASE_URL', '--confirm', this.#app.name]),
    } as const
    // What was lost on its way may still strike: that nothing happened yet is no answer.
    await this.#api.change(change, async () => (await isEmpty()) || undefined)
    if (!this.#api.dryRun) await this.#untilEmpty(addon.name, isEmpty)
  }

  async deleteOne(id: string): Promise<void> {
    const backup = await this.#known(id)
    if (backup === undefined) return
    const change = {
      method: 'DELETE',
      path: await this.#pathOf(`/${backup.num}`),
      exact: `delete the backup ${backup.id} of ${this.#app.name}`,
      byHand: this.#app.byHand(['pg:backups:delete', backup.id, '--confirm', this.#app.name]),
    } as const
    await this.#api.change(change, async () => (await this.#known(id)) === undefined)
  }

  /** Begins a transfer, or takes up the one that was begun since the mark, and waits for its end. */
  async #carryOut(kind: Transfer['kind'], watch: TransferWatch, change: Change): Promise<Transfer> {
    const mark = watch.mark ?? (await this.mark())
    const begun = (await this.#begunSince(kind, mark)) ?? (await this.#begin(kind, mark, change))
    if (begun.state === 'planned') return shownTransfer(begun)
    await watch.onStarted?.(shownTransfer(begun))
    return this.follow(begun.uuid, watch.onProgress)
  }

  /** The answer names what was begun; where it was lost, the list of all transfers tells. */
  async #begin(kind: Transfer['kind'], mark: string, change: Change): Promise<HerokuTransfer> {
    if (kind === 'restore') await this.#refuseBesideRestore()
    const find = () => this.#begunSince(kind, mark)
    const answer = await this.#api.change(change, async () => (await find()) !== undefined)
    if (this.#api.dryRun) return plannedTransfer(kind)
    const named = transferFrom(answer)
    const begun = named.uuid === '' ? await find() : named
    if (begun === undefined) throw unnamed(this.#app, change)
    return begun
  }

  /** Sessions were ended and the database is made anew: a look that fails is no answer yet. */
  async #untilEmpty(addon: string, isEmpty: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + this.#pace.resetMs
    const pause = pauses(this.#pace.pauseMs)
    for (;;) {
      const seen = await isEmpty().catch(() => undefined)
      if (seen === true) return
      if (Date.now() > deadline) throw seen === false ? withoutEffect(this.#app, addon) : resetNotSeen(this.#app, addon)
      await pause()
    }
  }

  /** What failed is not taken up: it is begun anew. */
  async #begunSince(kind: Transfer['kind'], mark: string): Promise<HerokuTransfer | undefined> {
    const isOurs = ({ num, scheduled, state, ...transfer }: HerokuTransfer) =>
      transfer.kind === kind && num > Number(mark) && !scheduled && ['running', 'succeeded'].includes(state)
    return (await this.#transfers()).find(isOurs)
  }

  /** Two restores into one database, or a reset beside one, leave neither state. */
  async #refuseBesideRestore(): Promise<void> {
    const other = (await this.#transfers()).find(({ kind, state }) => kind !== 'backup' && state === 'running')
    if (other === undefined) return
    throw new RefusedError({
      code: 'restore-under-way',
      message: `The restore ${other.id} of ${this.#app.name} is under way.`,
      next: `Wait for its end (${this.#app.byHand(['pg:backups'])}), or ${this.#app.byHand(['pg:backups:cancel', other.id])}`,
    })
  }

  async #untilOver(uuid: string, onProgress?: TransferWatch['onProgress']): Promise<HerokuTransfer> {
    const parts = { app: this.#app, pace: this.#pace, ...(onProgress ? { onProgress } : {}) }
    return untilOver(() => this.#look(uuid), parts)
  }

  async #look(uuid: string): Promise<HerokuTransfer> {
    return transferFrom(await this.#api.read(await this.#pathOf(`/${encodeURIComponent(uuid)}?verbose=true`)))
  }

  async #find(id: string): Promise<HerokuTransfer> {
    const found = await this.#known(id)
    if (found) return found
    throw new RefusedError({
      code: 'no-such-capture',
      message: `${this.#app.name} has no backup ${printableLine(id)}.`,
      next: `${this.#app.byHand(['pg:backups'])} lists them.`,
    })
  }

  async #known(id: string): Promise<HerokuTransfer | undefined> {
    return (await this.#transfers()).find(
      ({ kind, ...names }) => kind === 'backup' && [names.id, names.uuid].includes(id),
    )
  }

  /** The newest first. */
  async #transfers(): Promise<HerokuTransfer[]> {
    const all = records(await this.#api.read(await this.#pathOf())).map(transferFrom)
    return all.sort((one, other) => other.num - one.num)
  }

  async #pathOf(resource = ''): Promise<string> {
    this.#billingApp ??= (await this.#attachment()).billingApp
    return `/client/v11/apps/${encodeURIComponent(this.#billingApp)}/transfers${resource}`
  }

  /** Asked each time: after another database was promoted, nothing may reach the one before. */
  #attachment(): Promise<Attachment> {
    return requireAttachment(this.#app, CURRENT)
  }

  get #api(): DataApi {
    this.#data ??= this.#open()
    return this.#data
  }
}

function withoutEffect(app: HerokuApp, addon: string): RefusedError {
  return new RefusedError({
    code: 'reset-without-effect',
    message: `Heroku says that ${addon} was reset, but its tables are still there.`,
    next: `${app.byHand(['pg:info'])}, then run the command again.`,
  })
}

function resetNotSeen(app: HerokuApp, addon: string): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'reset-not-seen',
    message: `Heroku says that ${addon} was reset, but it cannot be looked into.`,
    next: app.byHand(['pg:info']),
  })
}

function notWhole(app: HerokuApp, { id, state }: HerokuTransfer): RefusedError {
  return new RefusedError({
    code: 'capture-not-whole',
    message: `The backup ${id} of ${app.name} is not whole: ${state}.`,
    next: `${app.byHand(['pg:backups'])} lists those that are.`,
  })
}

function unnamed(app: HerokuApp, { exact }: Change): OutcomeUnknownError {
  return new OutcomeUnknownError({
    code: 'transfer-unnamed',
    message: `Heroku did not say what it has begun: ${exact}.`,
    next: `${app.byHand(['pg:backups'])} shows whether it is under way.`,
  })
}
