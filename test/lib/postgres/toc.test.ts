import { describe, expect, test } from 'vitest'
import { restorableIds, restoreStage } from '../../../src/lib/postgres/toc.js'

/** As pg_restore 15.18 prints it. */
const PRINTED = `;
; Archive created at 2026-11-22 12:00:00 UTC
;     dbname: d0123456789abc
;     TOC Entries: 12
;
; Selected TOC Entries:
;
5; 2615 2200 SCHEMA - public u0123456789abc
3456; 0 0 COMMENT - SCHEMA public u0123456789abc
2; 3079 16385 EXTENSION - pg_stat_statements 
4010; 0 0 COMMENT - EXTENSION pg_stat_statements 
3; 3079 16444 EXTENSION - pg_trgm 
900; 1247 20001 SCHEMA - public_archive u0123456789abc
215; 1259 16386 TABLE public extension_comments u0123456789abc
4011; 0 0 COMMENT public COLUMN extension_comments.name u0123456789abc
3300; 0 16386 TABLE DATA public extension_comments u0123456789abc
`

describe('what the owner of a database may restore', () => {
  test('extensions that are there, comments on extensions and the schema of every database are left out', () => {
    expect(restorableIds(PRINTED, ['plpgsql', 'pg_stat_statements'])).toEqual([3, 900, 215, 4011, 3300])
  })

  test('an extension that is not there is made', () => {
    expect(restorableIds(PRINTED, ['plpgsql'])).toContain(2)
  })

  test('where nothing is left out there is no list', () => {
    const tables = PRINTED.split('\n').filter(line => line.includes('extension_comments'))
    expect(restorableIds(tables.join('\n'), ['plpgsql'])).toBeUndefined()
    expect(restoreStage(['-d', 'x'], undefined).words).not.toContain('sh')
  })
})
