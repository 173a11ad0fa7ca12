import { printableLine } from '../../text.js'
import { type Unfit, unfit } from './problems.js'
import { isEncrypted } from './source.js'

/** What is taken for a dump by mistake, how it begins, and what to do. The first that fits counts. */
const OTHERS: readonly { fits: (head: Buffer, text: string) => boolean; unfit: Unfit }[] = [
  {
    fits: isEncrypted,
    unfit: {
      code: 'dump-encrypted',
      is: 'is encrypted (age)',
      next: 'Name the key that opens it: --identity FILE',
    },
  },
  {
    fits: isTarDump,
    unfit: {
      code: 'dump-tar',
      is: 'is a dump in tar format',
      next: 'Make it plain, and restore that: pg_restore -f dump.sql FILE.tar',
    },
  },
  {
    fits: head => head.toString('latin1', 257, 262) === 'ustar',
    unfit: { code: 'dump-archive', is: 'is a tar archive', next: 'Unpack it, and name the dump that it holds.' },
  },
  packed('xz', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00], 'xz -d FILE'),
  packed('bzip2', [0x42, 0x5a, 0x68], 'bunzip2 FILE'),
  packed('lz4', [0x04, 0x22, 0x4d, 0x18], 'lz4 -d FILE'),
  packed('zip', [0x50, 0x4b, 0x03, 0x04], 'unzip FILE'),
  packed('compress', [0x1f, 0x9d], 'gunzip FILE'),
  {
    fits: head => begins(head, [0xff, 0xfe]) || begins(head, [0xfe, 0xff]) || begins(head, [0x2d, 0x00, 0x2d, 0x00]),
    unfit: {
      code: 'dump-utf16',
      is: 'is written in UTF-16',
      cause: 'The redirection of Windows PowerShell rewrites what goes through it.',
    },
  },
  page('an HTML', /^(<!doctype html|<html|<head|<body)/i),
  page('an XML', /^<(\?xml|[a-z!])/i),
  page('a JSON', /^[{[]\s*(["{[\]}]|$)/),
  {
    // Where messages stand before the dump, some may stand inside of it as well.
    fits: (_, text) => /^-- PostgreSQL database (cluster )?dump\r?$/m.test(text),
    unfit: {
      code: 'dump-mixed',
      is: 'holds other words before the dump',
      cause: 'Messages of a program, or a prompt, went into the file; some may stand further inside.',
    },
  },
]

/** Refuses a file that is no dump, by the name of what it is. @throws RefusedError always. */
export function refuseOther(path: string, head: Buffer): never {
  const text = head
    .toString('utf8', 0, 4096)
    .replace(/^\ufeff/, '')
    .trimStart()
  const other = OTHERS.find(({ fits }) => fits(head, text))
  if (!other) throw unfit(path, { code: 'dump-unknown', is: 'is no dump of PostgreSQL', cause: beginning(text) })
  const isPage = other.unfit.code === 'dump-error-page'
  throw unfit(path, isPage ? { ...other.unfit, cause: beginning(text) } : other.unfit)
}

/** A file is begun by what is not meant for a terminal, and may be long. */
function beginning(text: string): string {
  const words = printableLine(text.slice(0, 100).replaceAll(/\s+/g, ' '))
  return `It begins with: ${words.replaceAll('\ufffd', '?')}`
}

/** The first file in it is the table of contents (PostgreSQL, pg_backup_tar.c). */
function isTarDump(head: Buffer): boolean {
  return head.toString('latin1', 0, 8) === 'toc.dat\0' && head.toString('latin1', 512, 517) === 'PGDMP'
}

function packed(name: string, magic: readonly number[], command: string) {
  const parts = { code: 'dump-packed', is: `is packed with ${name}`, next: `Unpack it, and restore that: ${command}` }
  return { fits: (head: Buffer) => begins(head, magic), unfit: parts }
}

/** What a web server answers when there is no dump is saved by some clients as if it were one. */
function page(name: string, pattern: RegExp) {
  const next = 'Download the dump again, and look at what the server answers.'
  const parts = { code: 'dump-error-page', is: `is ${name} page, no dump`, next }
  return { fits: (_: Buffer, text: string) => pattern.test(text), unfit: parts }
}

function begins(head: Buffer, magic: readonly number[]): boolean {
  return head.subarray(0, magic.length).equals(Buffer.from(magic))
}
