import { describe, expect, it } from 'vitest';
import { decideStart, type ImportState, type Start } from '../src/import/start.ts';

const summary = {
  header: {
    format: 'bankhouse-export' as const,
    version: 1 as const,
    bank: 'acme',
    displayName: 'Acme',
    type: 'business',
    exportedAt: '2026-11-01T00:00:00.000000Z',
    tables: [],
  },
  lines: 3,
  totals: { rows: 2000, tables: {} },
  digest: 'the-end',
};
const state = (changes: Partial<ImportState>): ImportState => ({
  exportedBank: 'acme',
  exportedAt: summary.header.exportedAt,
  rows: 1000,
  digest: 'middle',
  finished: false,
  ...changes,
});
const done = (digest: string) => state({ rows: 2000, digest, finished: true });
const begin: Start = { kind: 'begin' };
const goOn: Start = { kind: 'go on', rows: 1000, digest: 'middle' };

describe('an import', () => {
  const rows: [string, ImportState | undefined, string[], boolean, Start | string][] = [
    ['begins in an empty bank', undefined, [], false, begin],
    ['begins in an empty bank also with --resume', undefined, [], true, begin],
    ['is refused in a bank with rows', undefined, ['notes'], false, 'bank_not_empty'],
    ['can not go on where none began', undefined, ['notes'], true, 'bank_not_empty'],
    ['that stopped is named, not repeated', state({}), ['notes'], false, 'import_unfinished'],
    ['that stopped goes on', state({}), ['notes'], true, goOn],
    ['that stopped before its first checkpoint begins again', state({ rows: 0, digest: '' }), [], false, begin],
    ['whose rows were all of vaults goes on too', state({}), [], true, goOn],
    ['that ended, asked for again by --resume, is done', done('the-end'), ['notes'], true, { kind: 'done' }],
    ['that ended is not repeated', done('the-end'), ['notes'], false, 'bank_not_empty'],
    ['that ended does not go on with another file', done('another'), ['notes'], true, 'bank_not_empty'],
    ['that ended in a bank that was emptied since begins', done('the-end'), [], false, begin],
  ];
  it.each(rows)('%s', (_sentence, before, occupied, resume, expected) => {
    const decide = () => decideStart({ bank: 'acme', file: 'acme.jsonl', summary, state: before, occupied, resume });
    if (typeof expected === 'string') expect(decide).toThrow(expect.objectContaining({ code: expected }));
    else expect(decide()).toEqual(expected);
  });
});
