import { operation, rails } from './rows.js'

export interface ModerationParams {
  /** The id of the account: digits, for it becomes part of Ruby code. */
  accountId: string
}

const MODEL = 'app/models/account.rb'
const ADMIN = 'app/controllers/admin'
/** Where the code begins; the rest is said of `a`. */
const account = ({ accountId }: ModerationParams) => `a = Account.find(${digits(accountId)})`

function digits(id: string): string {
  if (/^\d+$/.test(id)) return id
  throw new Error(`"${id}" is no id of an account`)
}

/** tootctl has no command for these, so the model is asked, as Mastodon's own pages do. Prints nothing; an exception ends it with exit code 1. */
const runner = (does: string) => ({
  argv: (params: ModerationParams) => rails('runner', `${account(params)}; ${does}`),
  boots: true,
})

export const moderationOperations = {
  'accounts.suspend': operation<ModerationParams>('suspend an account', [
    {
      ...runner('a.update!(suspended: true); Admin::SuspensionWorker.perform_async(a.id)'),
      since: '1.3.0',
      before: '2.9.0',
      destructive: true,
      note: 'The job deletes posts, media, profile and follows at once.',
      source: `${ADMIN}/suspensions_controller.rb @v1.4.1, @v2.4.1; app/services/suspend_account_service.rb`,
    },
    {
      ...runner('a.suspend! unless a.suspended?; Admin::SuspensionWorker.perform_async(a.id)'),
      since: '2.9.0',
      before: '3.3.0',
      destructive: true,
      note: 'The job deletes posts, media, profile and follows at once.',
      source: 'app/models/admin/account_action.rb @v2.9.0',
    },
    {
      ...runner('a.suspend! unless a.suspended?; Admin::SuspensionWorker.perform_async(a.id)'),
      since: '3.3.0',
      note: 'Everything is hidden, and deleted 30 days later.',
      source: `${MODEL} @v3.3.0; app/models/account_deletion_request.rb @v3.3.0`,
    },
  ]),

  'accounts.unsuspend': operation<ModerationParams>('end the suspension of an account', [
    {
      ...runner('a.respond_to?(:unsuspend!) ? a.unsuspend! : a.update!(suspended: false)'),
      since: '1.3.0',
      before: '2.9.0',
      partial: 'what the suspension deleted stays deleted',
      source: `${ADMIN}/suspensions_controller.rb @v1.4.1; ${MODEL} @v2.4.0`,
    },
    {
      ...runner('a.unsuspend!'),
      since: '2.9.0',
      before: '3.3.0',
      partial: 'what the suspension deleted stays deleted',
      source: `${MODEL} @v2.9.0`,
    },
    {
      ...runner('a.unsuspend!; Admin::UnsuspensionWorker.perform_async(a.id)'),
      since: '3.3.0',
      source: `${ADMIN}/accounts_controller.rb @v3.3.0`,
    },
  ]),

  'accounts.limit': operation<ModerationParams>('limit an account', [
    {
      ...runner('a.update!(silenced: true)'),
      since: '1.3.0',
      before: '2.9.0',
      source: `${ADMIN}/silences_controller.rb @v2.4.0`,
    },
    { ...runner('a.silence!'), since: '2.9.0', source: `${MODEL} @v2.9.0` },
  ]),

  'accounts.unlimit': operation<ModerationParams>('lift the limit of an account', [
    {
      ...runner('a.update!(silenced: false)'),
      since: '1.3.0',
      before: '2.9.0',
      source: `${ADMIN}/silences_controller.rb @v2.4.0`,
    },
    { ...runner('a.unsilence!'), since: '2.9.0', source: `${MODEL} @v2.9.0` },
  ]),
}
