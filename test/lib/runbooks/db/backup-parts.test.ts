import { expect, test } from 'vitest'
import { checkParts, leftOut } from '../../../../src/lib/runbooks/db/backup-parts.js'
import { manifestOf } from '../../../support/backups.js'
import { toolboxOf } from '../../../support/toolbox-of.js'

const failure = (promise: Promise<unknown>) =>
  promise.then(
    () => ({ code: 'none' }),
    error => error,
  )

test.each(['media', 'redis'] as const)('%s is refused where there is no way to its files', async part => {
  expect(await failure(checkParts(toolboxOf({}), { with: [part] }))).toMatchObject({ code: 'no-such-capability' })
})

test('secrets are refused where the variables are not known, unless nobody could read them anyway', async () => {
  const toolbox = toolboxOf({})
  expect(await checkParts(toolbox, { with: ['secrets'] })).toBe(0)
  const instance = { ...toolbox.instance, backups: { recipient: 'age1x' } }
  expect(await failure(checkParts({ ...toolbox, instance }, { with: ['secrets'] }))).toMatchObject({
    code: 'no-such-capability',
  })
})

test('media in a bucket weigh nothing and refuse nothing', async () => {
  const toolbox = toolboxOf({ config: { S3_ENABLED: 'true', S3_BUCKET: 'files' } })
  expect(await checkParts(toolbox, { with: ['media'] })).toBe(0)
})

test('what was asked for and is not in it is said; what nobody asked for is not', () => {
  const manifest = manifestOf('one', { media: { kept: 'bucket', bucket: 'files', versions: true } })
  expect(leftOut(manifest, { with: [] })).toEqual([])
  expect(leftOut(manifest, { with: ['media', 'secrets', 'redis'] })).toEqual([
    'The media are left out: they are in the bucket files, which is not copied; it keeps former versions of what is deleted.',
    'The secrets are left out: nobody is named to encrypt them to (backups: recipient in mstdn-ops.yaml).',
  ])
  expect(leftOut({ ...manifest, recipient: 'age1x' }, { with: ['secrets'] })).toEqual([])
})
