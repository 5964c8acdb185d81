/** A file that is not as it was written is refused by its line, before a row of it is imported. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkArchive } from '../../../client/src/import/index.ts';
import { withClient } from '../../harness/postgres.ts';
import { addCalls, addEntities, type Fixture, startFixture } from './support.ts';

let fixture: Fixture;
let whole: Buffer;
let lines: string[];
beforeAll(async () => {
  fixture = await startFixture();
  await fixture.bank('acme');
  await fixture.bank('untouched');
  await addCalls(fixture.postgres, 'acme', 15);
  await addEntities(fixture.postgres, 'acme', { notes: 500, chats: 3, messages: 300 });
  await fixture.run('export', 'acme', fixture.path('whole.jsonl'));
  whole = Buffer.from(fixture.read('whole.jsonl'));
  lines = whole.toString().split('\n').slice(0, -1);
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

const lineAt = (offset: number) => whole.subarray(0, offset).toString('latin1').split('\n').length;
const check = async (content: string | Buffer) => {
  try {
    await checkArchive(fixture.write('damaged.jsonl', content));
  } catch (error) {
    return error as { code: string; message: string; line?: number };
  }
  return undefined;
};
const place = () => fc.nat({ max: whole.length - 1 });

describe('a file', () => {
  it('of which a byte is another one is refused by the line', async () => {
    await fc.assert(
      fc.asyncProperty(place(), fc.integer({ min: 1, max: 255 }), async (offset, bits) => {
        const damaged = Buffer.from(whole);
        damaged[offset] = (whole[offset] ?? 0) ^ bits;
        const problem = await check(damaged);
        if (lineAt(offset) === 1) expect(problem?.code).toMatch(/^(export_damaged|not_an_export|export_version)$/);
        else expect(problem).toMatchObject({ code: 'export_damaged', line: lineAt(offset) });
      }),
      { numRuns: 150 },
    );
  });

  it('that is cut off anywhere is refused by the last line that it has', async () => {
    const kept = fc.integer({ min: (lines[0]?.length ?? 0) + 200, max: whole.length - 1 });
    await fc.assert(
      fc.asyncProperty(kept, async (size) => {
        const ends = whole[size - 1] === 10 ? lineAt(size) - 1 : lineAt(size);
        expect(await check(whole.subarray(0, size))).toMatchObject({ code: 'export_damaged', line: ends });
      }),
      { numRuns: 100 },
    );
  });

  const row = () => fc.integer({ min: 1, max: lines.length - 2 });
  it.each<[string, (at: number) => string[]]>([
    ['without a line', (at) => lines.toSpliced(at, 1)],
    ['with a line twice', (at) => lines.toSpliced(at, 0, lines[at] ?? '')],
    ['with a line moved up', (at) => lines.toSpliced(at, 2, lines[at + 1] ?? '', lines[at] ?? '')],
    ['with an empty line', (at) => lines.toSpliced(at, 0, '')],
    [
      'without a row and without its seal',
      (at) => lines.toSpliced(at, 1, (lines[at] ?? '').replace(/,"(sum|digest)".*/, '}')),
    ],
  ])('%s is refused there', async (_sentence, damage) => {
    await fc.assert(
      fc.asyncProperty(row(), async (at) => {
        const problem = await check(`${damage(at).join('\n')}\n`);
        expect(problem?.code).toBe('export_damaged');
        expect([at + 1, at + 2]).toContain(problem?.line);
      }),
      { numRuns: 40 },
    );
  });

  it('with something behind its end is refused', async () => {
    expect(await check(`${lines.join('\n')}\n{}\n`)).toMatchObject({ code: 'export_damaged', line: lines.length + 1 });
  });

  const foreign: [string, () => string | Buffer, RegExp][] = [
    ['of another version', () => whole.toString().replace('"version":1', '"version":2'), /version 2 .*reads version 1/],
    [
      'with recordings',
      () => '{"title":"x","startedAt":"2026-05-01T09:30:00Z"}\n',
      /no export of a bank.*bankhouse load/,
    ],
    ['that is empty', () => '', /is empty/],
    ['that is compressed', () => Buffer.from([0x1f, 0x8b, 8, 0, 10]), /unpack it first/],
    ['with the line ends of Windows', () => whole.toString().replaceAll('\n', '\r\n'), /^bankhouse: Line 1:/],
    ['cut off', () => whole.subarray(0, whole.length / 2), /^bankhouse: Line \d+: the file ends/],
  ];
  it.each(foreign)('%s: one clear sentence, and nothing is imported', async (_sentence, contents, message) => {
    const file = fixture.write('foreign.jsonl', contents());
    for (const args of [['--bank', 'untouched'], ['--check']]) {
      const ran = await fixture.cli('import', file, ...args);
      expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code: 1, stdout: '' });
      expect(ran.stderr).toMatch(message);
    }
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      for (const table of ['imports', 'notes', 'recordings']) {
        expect((await sql.query(`select from bank.${table} where bank_id = 'untouched'`)).rows).toEqual([]);
      }
    });
  });
});

describe('bankhouse', () => {
  const file = () => fixture.path('whole.jsonl');
  it.each<[string, () => string[], number, RegExp]>([
    ['an export of no bank', () => ['export', 'nobody', fixture.path('x.jsonl')], 1, /no bank nobody; there are acme/],
    ['an import into no bank', () => ['import', file(), '--bank', 'nobody'], 1, /no bank nobody; there are acme/],
    [
      'an import into a bank with rows',
      () => ['import', file()],
      1,
      /acme is not empty: it has fathom_calls, .*--bank/,
    ],
    ['going on with nothing', () => ['import', file(), '--resume'], 1, /acme is not empty/],
    ['an export over a file', () => ['export', 'acme', file()], 1, /whole\.jsonl exists already.*--resume/],
    ['an export to nowhere', () => ['export', 'acme', '/nowhere/x'], 1, /\/nowhere\/x can't be written/],
    ['a file that is not there', () => ['import', '/nowhere/x'], 1, /\/nowhere\/x can't be read/],
    ['going on with standard output', () => ['export', 'acme', '-', '--resume'], 2, /name the file/],
    ['a check of a bank', () => ['import', file(), '--check', '--bank', 'x'], 2, /leave out --bank/],
    ['no file', () => ['import'], 2, /missing required argument 'file'/],
  ])('%s: one clear sentence', async (_sentence, args, code, message) => {
    const ran = await fixture.cli(...args());
    expect({ code: ran.code, stdout: ran.stdout }).toEqual({ code, stdout: '' });
    expect(ran.stderr).toMatch(message);
    expect(ran.stderr).not.toMatch(/\n\s+at |select |insert /);
  });

  it('checks a whole file without a database', async () => {
    const ran = await fixture.run('import', '--check', file());
    expect(ran.stdout).toMatch(/is whole: bank acme, .*\nTABLE +ROWS +KEYS .*\nvaults +3 +[0-9a-f]{64}\n/);
  });
});
