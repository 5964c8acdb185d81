/** What the database knows of the server's statements: all of them, and those of earlier versions (docs/adr/0036). */
import { globSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import '../src/bank-server.ts';
import { listenText, statement, statementTexts } from '../src/database/statement.ts';
import { statementsSql, textsOf } from '../src/database/statements-sql.ts';

const FILE = new URL('../../migrations/tenants/functions/server_statements.sql', import.meta.url);
/** Before a test makes one. */
const sent = statementTexts();
const committed = readFileSync(FILE, 'utf8');

describe('the list in the migrations', () => {
  it('has every text that the server sends', () => {
    expect(sent.length).toBeGreaterThan(40);
    expect(statementsSql(sent, committed)).toBe(committed);
  });

  it('keeps what earlier versions sent, and says so', () => {
    const after = statementsSql(
      sent.filter((text) => text !== 'commit'),
      committed,
    );
    expect(textsOf(after).toSorted()).toEqual(textsOf(committed).toSorted());
    expect(after.split('-- of earlier versions alone')[1]).toMatch(/^ {2}'commit',?$/m);
    expect(textsOf(statementsSql(['select 1'], after))).toEqual(['select 1', ...textsOf(committed).toSorted()]);
  });

  it('gives a text that comes back its place again', () => {
    expect(statementsSql(sent, statementsSql(['commit'], committed))).toBe(committed);
  });

  it.each([['it is "so"'], ["it's ''so''"], ['a\n  b'], ['-- of earlier versions alone']])('reads back %j', (text) => {
    expect(textsOf(statementsSql([text], ''))).toEqual([text]);
  });
});

describe('a statement', () => {
  it.each([
    ['longer than Postgres shows', `select ${'1'.repeat(1023)}`, /^Too long to be shown/],
    ['of more than ASCII', 'select 1 as größe', /^Not of ASCII alone/],
  ])('is not %s', (_name, text, said) => {
    expect(() => statement({ text })).toThrow(said);
  });

  it('of a channel quotes it', () => {
    expect(listenText('a"b')).toBe('unlisten *; listen "a""b"');
  });

  it('is what is sent: no file has a text of its own for it', () => {
    const folder = new URL('../src/', import.meta.url).pathname;
    const files = globSync('**/*.ts', { cwd: folder });
    expect(files.length).toBeGreaterThan(100);
    const raw = files.filter((file) => /\.query(<[^(]*>)?\(\s*['"`]/.test(readFileSync(`${folder}${file}`, 'utf8')));
    expect(raw).toEqual([]);
  });
});
