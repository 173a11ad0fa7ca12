import { newestRelease } from '../mastodon/releases.js'
import {
  absolutePath,
  addresses,
  bucket,
  domain,
  email,
  type Grammar,
  host,
  httpsAddress,
  image,
  imagePrefix,
  listenAddress,
  port,
  release,
  text,
  textUpTo,
  username,
} from './grammar.js'

/** What was answered, by the question's id; an empty text where nothing is wanted. */
export type Answers = Readonly<Record<string, string>>

/** A question of `setup`. Its id is also its flag, and its name in an answers file. */
export interface Question {
  id: string
  /** What is asked for. */
  ask: string
  /** Why, or what hangs on it, in one line. */
  why: string
  /** The answer where none is given; undefined: there must be one. */
  fallback: ((answers: Answers) => string) | undefined
  /** Whether an empty answer stands for "none". */
  mayBeEmpty?: boolean
  choices?: readonly string[]
  grammar?: Grammar
  /** What does not fit the answers before it. */
  fits?: (value: string, answers: Answers) => string | undefined
  /** Asked only then; otherwise the answer is empty. */
  when?: (answers: Answers) => boolean
  /** Never printed, and in no file but the one that the app reads. */
  secret?: boolean
}

const YES_NO = ['yes', 'no'] as const
const always = (value: string) => () => value
const hasMail = (answers: Answers) => answers['smtp-server'] !== ''
const hasBucket = (answers: Answers) => answers.media === 's3'
const isHere = (answers: Answers) => answers.media === 'local'

const INSTANCE: readonly Question[] = [
  {
    id: 'domain',
    ask: 'The domain of the instance',
    why: "It is part of everybody's name and can never be changed.",
    fallback: undefined,
    grammar: domain,
  },
  {
    id: 'web-domain',
    ask: 'Another domain for the web pages',
    why: 'Names stay @NAME@domain while the pages are elsewhere; the domain itself must then redirect webfinger.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: domain,
    fits: (value, answers) =>
      value === answers.domain ? 'It is the domain of the instance: leave it empty.' : undefined,
  },
  {
    id: 'release',
    ask: 'The release of Mastodon',
    why: 'The newest one gets security fixes for longest.',
    fallback: () => `${newestRelease()}`,
    grammar: release,
  },
  {
    id: 'owner',
    ask: "The owner's name",
    why: 'The first account, which may do everything.',
    fallback: undefined,
    grammar: username,
  },
  {
    id: 'owner-email',
    ask: "The owner's e-mail address",
    why: 'To sign in with; it counts as confirmed, no mail is sent.',
    fallback: undefined,
    grammar: email,
  },
  {
    id: 'single-user',
    ask: 'Is it for one person alone?',
    why: "The front page is then that person's profile, and nobody can sign up.",
    fallback: always('no'),
    choices: YES_NO,
  },
]

const SITE: readonly Question[] = [
  {
    id: 'registrations',
    ask: 'Who may sign up',
    why: 'approved: with a reason, and you decide. An open server without moderators is soon full of spam.',
    fallback: answers => (answers['single-user'] === 'yes' || !hasMail(answers) ? 'closed' : 'approved'),
    choices: ['closed', 'approved', 'open'],
    fits: (value, answers) => {
      if (value === 'closed') return undefined
      if (answers['single-user'] === 'yes') return 'An instance for one person has no sign-ups: choose closed.'
      return hasMail(answers) ? undefined : 'Without a mail server nobody can confirm an address: choose closed.'
    },
  },
  {
    id: 'title',
    ask: 'The title of the site',
    why: 'Shown at the top of the pages, and in lists of servers.',
    fallback: answers => answers.domain ?? '',
    grammar: textUpTo(100),
  },
  {
    id: 'description',
    ask: 'What the server is, in a sentence or two',
    why: 'Shown to visitors; you can change it later.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: textUpTo(400),
  },
  {
    id: 'contact-email',
    ask: 'The e-mail address for visitors',
    why: 'Published. Where people complain to, and other servers too.',
    fallback: answers => answers['owner-email'] ?? '',
    grammar: email,
  },
]

const MAIL: readonly Question[] = [
  {
    id: 'smtp-server',
    ask: 'The mail server',
    why: 'Empty: no mail at all. Accounts are then made and confirmed by mstdn-ops.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: host,
    fits: value => (/^(localhost|127\.|::1)/.test(value) ? 'In a container that is the container itself.' : undefined),
  },
  {
    id: 'smtp-port',
    ask: 'Its port',
    why: '587 with STARTTLS is what providers offer.',
    fallback: always('587'),
    grammar: port,
    when: hasMail,
  },
  {
    id: 'smtp-login',
    ask: 'The user name there',
    why: 'Empty where it asks for none.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: text,
    when: hasMail,
  },
  {
    id: 'smtp-password',
    ask: 'The password there',
    why: 'Kept in .env.production alone.',
    fallback: undefined,
    grammar: text,
    secret: true,
    when: answers => hasMail(answers) && answers['smtp-login'] !== '',
  },
  {
    id: 'smtp-from',
    ask: 'The sender of mails',
    why: 'The mail server must be allowed to send for its domain.',
    fallback: answers => `notifications@${answers.domain}`,
    grammar: email,
    when: hasMail,
  },
  {
    id: 'smtp-auth',
    ask: 'How it wants to be told the password',
    why: 'plain suits nearly every server.',
    fallback: answers => (answers['smtp-login'] === '' ? 'none' : 'plain'),
    choices: ['plain', 'login', 'cram_md5', 'none'],
    when: hasMail,
  },
  {
    id: 'smtp-starttls',
    ask: 'Encryption by STARTTLS',
    why: 'always refuses a server that cannot.',
    fallback: always('auto'),
    choices: ['auto', 'always', 'never'],
    when: hasMail,
  },
]

const MEDIA: readonly Question[] = [
  {
    id: 'media',
    ask: 'Where images and videos are kept',
    why: 'They grow to tens of gigabytes. s3 is any storage that speaks it.',
    fallback: always('local'),
    choices: ['local', 's3'],
  },
  {
    id: 'media-path',
    ask: 'Another folder for them inside of the containers',
    why: 'PAPERCLIP_ROOT_PATH, for those who serve public files elsewhere.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: absolutePath,
    when: isHere,
  },
  {
    id: 'media-url',
    ask: 'The address under which they are served',
    why: 'PAPERCLIP_ROOT_URL, where that is not /system of the instance.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: httpsAddress,
    when: isHere,
  },
  {
    id: 's3-bucket',
    ask: 'The bucket',
    why: 'It must exist, and its objects must be readable for everybody.',
    fallback: undefined,
    grammar: bucket,
    when: hasBucket,
  },
  {
    id: 's3-region',
    ask: 'Its region',
    why: 'As the provider names it.',
    fallback: always('us-east-1'),
    grammar: host,
    when: hasBucket,
  },
  {
    id: 's3-endpoint',
    ask: 'The address of the storage',
    why: 'Empty for Amazon.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: httpsAddress,
    when: hasBucket,
  },
  {
    id: 's3-alias-host',
    ask: 'The name under which visitors fetch the files',
    why: 'A proxy of your own in front lets you move to another provider.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: domain,
    when: hasBucket,
  },
  {
    id: 's3-key-id',
    ask: 'The id of the access key',
    why: 'It needs to write to that bucket, nothing else.',
    fallback: undefined,
    grammar: text,
    when: hasBucket,
  },
  {
    id: 's3-secret',
    ask: 'The secret access key',
    why: 'Kept in .env.production alone.',
    fallback: undefined,
    grammar: text,
    secret: true,
    when: hasBucket,
  },
]

const MACHINE: readonly Question[] = [
  {
    id: 'elasticsearch',
    ask: 'Full-text search?',
    why: 'Elasticsearch takes a gigabyte of memory of its own; it can be added later.',
    fallback: always('no'),
    choices: YES_NO,
  },
  {
    id: 'volumes',
    ask: 'Where the data lies',
    why: 'named: volumes of Docker. folders: beside compose.yaml.',
    fallback: always('named'),
    choices: ['named', 'folders'],
  },
  {
    id: 'web-port',
    ask: 'The port of the web process on this machine',
    why: 'The reverse proxy leads there.',
    fallback: always('3000'),
    grammar: port,
  },
  {
    id: 'streaming-port',
    ask: 'The port of the streaming process on this machine',
    why: 'The reverse proxy leads /api/v1/streaming there.',
    fallback: always('4000'),
    grammar: port,
    fits: (value, answers) => (value === answers['web-port'] ? 'The web process has that port.' : undefined),
  },
  {
    id: 'listen',
    ask: 'The address at which both are opened',
    why: '127.0.0.1 lets only a proxy on this machine in.',
    fallback: always('127.0.0.1'),
    grammar: listenAddress,
  },
  {
    id: 'trusted-proxy',
    ask: 'The addresses of the reverse proxy',
    why: 'Empty where it has a private address, as on this machine. Who is trusted can say who a visitor is.',
    fallback: always(''),
    mayBeEmpty: true,
    grammar: addresses,
  },
]

const IMAGES: readonly Question[] = [
  {
    id: 'images',
    ask: "The registry and path of Mastodon's images",
    why: 'For a mirror of your own.',
    fallback: always('ghcr.io/mastodon'),
    grammar: imagePrefix,
  },
  {
    id: 'postgres-image',
    ask: 'The image of PostgreSQL',
    why: 'A later major version means a dump and a restore.',
    fallback: always('postgres:17-alpine'),
    grammar: image,
  },
  {
    id: 'redis-image',
    ask: 'The image of Redis',
    why: 'Mastodon asks for 7.0 or newer from 4.5 on.',
    fallback: always('redis:7-alpine'),
    grammar: image,
  },
  {
    id: 'elasticsearch-image',
    ask: 'The image of Elasticsearch',
    why: 'Every release works with 7.17.',
    fallback: always('docker.elastic.co/elasticsearch/elasticsearch:7.17.29'),
    grammar: image,
    when: answers => answers.elasticsearch === 'yes',
  },
]

/** Every question, in the order in which they are asked: a later one may hang on the answers to earlier ones. */
export const QUESTIONS: readonly Question[] = [...INSTANCE, ...MAIL, ...SITE, ...MEDIA, ...MACHINE, ...IMAGES]
