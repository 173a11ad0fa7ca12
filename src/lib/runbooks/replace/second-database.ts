import { RefusedError } from '../../errors.js'
import { refuseWithoutRoom } from '../../postgres/room.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from './names.js'

/** Refuses where no database of this many bytes can be made beside the live one: for want of the right, or of room. */
export async function refuseSecondDatabase(toolbox: Toolbox, bytes: number): Promise<void> {
  const database = await toolbox.database()
  const [role] = await database.query<{ may: boolean }>(
    'SELECT rolsuper OR rolcreatedb AS may FROM pg_roles WHERE rolname = current_user',
  )
  if (!role?.may) throw noSecondDatabase(await liveName(toolbox), toolbox.backend.databases !== undefined)
  await refuseWithoutRoom(toolbox, bytes)
}

function noSecondDatabase(name: string, canBeOrdered: boolean): RefusedError {
  return new RefusedError({
    code: 'no-second-database',
    message: `No second database can be made beside ${name}.`,
    cause: 'The user of the app may not create databases.',
    next: canBeOrdered
      ? 'Order one from the platform: --new-database PLAN'
      : 'Let an administrator of the server say: ALTER ROLE … CREATEDB',
  })
}
