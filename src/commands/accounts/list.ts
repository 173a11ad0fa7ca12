import { Flags } from '@oclif/core'
import { OpsCommand } from '../../lib/base-command.js'
import { type Circle, listPeople, type PersonRow } from '../../lib/mastodon/people.js'
import { tableLayout } from '../../lib/tables.js'

interface Listed {
  people: PersonRow[]
  /** Whether there are more than were asked for. */
  more: boolean
}

export default class List extends OpsCommand<Listed> {
  static override summary = 'List the people here: their role, when they were last there, and how their accounts stand.'
  static override description = 'Those who were there last stand first. Mastodon notes that at most once a day.'
  static override examples = [
    '<%= config.bin %> <%= command.id %> --staff',
    '<%= config.bin %> <%= command.id %> --waiting',
  ]
  static override flags = {
    staff: Flags.boolean({ exclusive: ['waiting'], summary: 'Only those with a role.' }),
    waiting: Flags.boolean({ summary: 'Only those whose sign-up waits for approval.' }),
    number: Flags.integer({
      char: 'n',
      min: 1,
      max: 100_000,
      default: 100,
      helpValue: 'N',
      summary: 'How many at most.',
    }),
  }

  protected override async execute(): Promise<Listed> {
    const { flags } = await this.parse(List)
    const toolbox = await this.toolbox()
    const circle: Circle = flags.staff ? 'staff' : flags.waiting ? 'waiting' : 'all'
    // One more than asked for tells whether there are more.
    const { sql, params } = listPeople(await toolbox.app.version(), circle, flags.number + 1)
    const people = await (await toolbox.database()).query<PersonRow>(sql, params)
    return { people: people.slice(0, flags.number), more: people.length > flags.number }
  }

  protected override async render({ people, more }: Listed): Promise<string> {
    if (people.length === 0) return 'There is nobody to list.'
    const layOut = await tableLayout()
    const table = layOut(COLUMNS, people, this.output.columns)
    return more ? `${table}\nThere are more: -n ${people.length * 10}` : table
  }
}

const yes = (is: boolean) => (is ? 'yes' : 'no')
const COLUMNS = [
  { title: 'NAME', value: (person: PersonRow) => person.username },
  { title: 'ROLE', value: (person: PersonRow) => person.role ?? '' },
  { title: 'LAST SIGN-IN', value: (person: PersonRow) => dayOf(person.last_sign_in) },
  { title: '2FA', value: (person: PersonRow) => yes(person.two_factor) },
  { title: 'CONFIRMED', value: (person: PersonRow) => yes(person.confirmed) },
  { title: 'APPROVED', value: (person: PersonRow) => yes(person.approved) },
  { title: 'STATE', value: stateOf },
]

function dayOf(time: Date | string | null): string {
  return time === null ? 'never' : new Date(time).toISOString().slice(0, 10)
}

function stateOf({ suspended, limited }: PersonRow): string {
  if (suspended) return 'suspended'
  return limited ? 'limited' : ''
}
