import type { Runbook } from '../runbook/step.js'

/** Every runbook by the name that journals hold, loaded when a run is resumed. */
export const RUNBOOKS: Record<string, () => Promise<Runbook<never, object>>> = {
  'accounts:confirm': async () => (await import('./accounts/confirm.js')).confirm,
  'accounts:disable-2fa': async () => (await import('./accounts/disable-2fa.js')).disable2fa,
  'accounts:make-admin': async () => (await import('./accounts/make-admin.js')).makeAdmin,
  'accounts:reset-password': async () => (await import('./accounts/reset-password.js')).resetPassword,
  // Without a value: it died with the process that was told it.
  'config:set': async () => (await import('./config/set.js')).setRunbook(),
  'keys:vapid': async () => (await import('./keys/vapid.js')).vapid,
}
