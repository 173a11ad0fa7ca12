import { RefusedError } from '../../errors.js'
import { refuseWithoutRoom } from '../../postgres/room.js'
import { printableLine } from '../../text.js'
import type { Toolbox } from '../../toolbox.js'
import { liveName } from './names.js'

/** Refuses where no database of this many bytes can be made beside the live one: for want of the right, or of room. */
export async function refuseSecondDatabase(toolbox: Toolbox, bytes: number): Promise<void> {
  const database = await toolbox.database()
  const [role] = await database.query<{ may: boolean; owns: boolean; owner: string }>(
    `SELECT rolsuper OR rolcreatedb AS may, pg_has_role(datdba, 'USAGE') AS owns, pg_get_userbyid(datdba) AS owner
     FROM pg_roles, pg_database WHERE rolname = current_user AND datname = current_database()`,
  )
  if (!role?.may) throw noSecondDatabase(await liveName(toolbox))
  if (!role.owns) throw notOwned(await liveName(toolbox), role.owner)
  await refuseWithoutRoom(toolbox, bytes)
}

function noSecondDatabase(name: string): RefusedError {
  return new RefusedError({
    code: 'no-second-database',
    message: `No second database can be made beside ${name}.`,
    cause: 'The user of the app may not create databases.',
    next: 'Let an administrator of the server say: ALTER ROLE … CREATEDB',
  })
}

/** Only an owner may rename it, which would come out when all is stopped already. */
function notOwned(name: string, owner: string): RefusedError {
  return new RefusedError({
    code: 'database-not-owned',
    message: `The database ${name} cannot be replaced.`,
    cause: `It is owned by ${printableLine(owner)}, and the user of the app has no part in that role.`,
    next: 'Let an administrator of the server say: ALTER DATABASE … OWNER TO …',
  })
}
