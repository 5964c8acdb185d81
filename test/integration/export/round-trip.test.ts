/** A bank that is exported and imported elsewhere is the same to the byte, with every kind of value in every table. */
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EXPORTED, flatten, NOT_EXPORTED } from '../../../client/src/archive/index.ts';
import { exportBank } from '../../../client/src/export/index.ts';
import { withClient } from '../../harness/postgres.ts';
import { addLegacy, addRecording, asData, rowsAs } from '../database/support.ts';
import { addCalls, addEntities, content, type Fixture, startFixture } from './support.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await startFixture();
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

let turn = 0;
async function moved(from: string): Promise<{ first: string; second: string; to: string }> {
  const to = `copy-${++turn}`;
  await fixture.bank(to);
  const [a, b] = [`${from}-${turn}.jsonl`, `${to}.jsonl`];
  await fixture.run('export', from, fixture.path(a));
  await fixture.run('import', fixture.path(a), '--bank', to);
  await fixture.run('export', to, fixture.path(b));
  return { first: fixture.read(a), second: fixture.read(b), to };
}

describe('export, import, export', () => {
  it('of an empty bank says so, and can be imported', async () => {
    await fixture.bank('empty');
    const { first, second } = await moved('empty');
    expect(content(second)).toBe(content(first));
  });

  it.each([1, 2, 3])('of a bank filled by seed %i gives the same bytes, and finds the same', async (seed) => {
    const bank = await fixture.bank(`full-${seed}`);
    await addCalls(fixture.postgres, bank.id, 60 * seed, seed);
    await addEntities(fixture.postgres, bank.id, { notes: 400 * seed, chats: 5, messages: 1500 }, seed / 10);
    const { first, second, to } = await moved(bank.id);
    expect(content(second)).toBe(content(first));
    expect(first.match(/^\{"checkpoint"/gm)?.length).toBeGreaterThan(1);
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      const documents = (id: string) =>
        sql.query(
          `select recording_id, legacy_id, call_id, started_at, participant_keys, document, passage_positions
             from bank.search_documents where bank_id = $1 order by call_id`,
          [id],
        );
      expect((await documents(to)).rows).toEqual((await documents(bank.id)).rows);
    });
  });

  it('keeps numbers, times and texts that JavaScript has none of', async () => {
    const bank = await fixture.bank('exact');
    const transcript = '[{"n": 12345678901234567890.000, "e": 1e400, "z": -0.0, "t": "\\u0001\\\\ \\" 日"}]';
    await asData(fixture.postgres, async (sql) => {
      await addLegacy(sql, bank.id, { id: 1, vault: null });
      await sql.query(
        `update bank.fathom_calls set id = 9223372036854775807, transcript = $2,
           recording_start_time = '2026-03-29T01:59:59.999999Z', recording_end_time = 'infinity' where bank_id = $1`,
        [bank.id, transcript],
      );
      await addRecording(sql, bank.id, { title: 'no "legacy"', vaults: ['hr', 'sales'], participants: ['', 'ü,{}"'] });
    });
    const { first, second, to } = await moved(bank.id);
    expect(content(second)).toBe(content(first));
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      const row = async (id: string) =>
        (
          await sql.query(
            'select f::text from (select id, transcript, recording_start_time, recording_end_time from bank.fathom_calls where bank_id = $1) f',
            [id],
          )
        ).rows;
      expect(await row(to)).toEqual(await row(bank.id));
      expect(JSON.stringify(await row(to))).toContain('9223372036854775807');
    });
  });

  it('gives the copy to those who may see it', async () => {
    const bank = await fixture.bank('source');
    await addCalls(fixture.postgres, bank.id, 30);
    const copy = await fixture.bank('target');
    await fixture.run('export', bank.id, fixture.path('source.jsonl'));
    await fixture.run('import', fixture.path('source.jsonl'), '--bank', copy.id);
    for (const vaults of [null, ['sales'], []]) {
      const seen = (which: typeof bank) =>
        rowsAs(
          which,
          which.seal({ vaults }),
          'select id, title, vault_ids from api.get_unified_recordings() order by id',
        );
      expect(await seen(copy)).toEqual(await seen(bank));
    }
  });
});

describe('what is exported', () => {
  it('is decided for every table with a bank_id, and no secret is among it', async () => {
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query<{ name: string }>(
        `select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'bank_id'
          where c.relnamespace = 'bank'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition`,
      );
      const decided = [...flatten(EXPORTED).map(({ name }) => name), ...Object.keys(NOT_EXPORTED)];
      expect(decided.sort()).toEqual(rows.map(({ name }) => name).sort());
    });
    expect(Object.keys(NOT_EXPORTED)).toEqual(expect.arrayContaining(['login_roles', 'bank_keys']));
  });

  it('has only columns of types that come through JSON unchanged', async () => {
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      const { rows } = await sql.query(
        `select distinct format_type(a.atttypid, null) as type from pg_attribute a
          where a.attrelid = any (select ('bank.' || t)::regclass from unnest($1::text[]) t)
            and a.attnum > 0 and not a.attisdropped and a.attgenerated = '' order by 1`,
        [flatten(EXPORTED).map(({ name }) => name)],
      );
      expect(rows.map(({ type }) => type)).toEqual([
        'bigint',
        'boolean',
        'integer',
        'jsonb',
        'text',
        'text[]',
        'timestamp with time zone',
        'uuid',
      ]);
    });
  });

  it('waits for a slow reader, and stops with a sentence when it is gone', async () => {
    const bank = await fixture.bank('piped');
    await addCalls(fixture.postgres, bank.id, 90);
    await fixture.run('export', bank.id, fixture.path('piped.jsonl'));
    const options = { databaseUrl: fixture.postgres.ownerUrl, bank: bank.id, resume: false };
    const chunks: Buffer[] = [];
    const slow = new Writable({
      highWaterMark: 1,
      write: (chunk: Buffer, _encoding, done) => {
        chunks.push(chunk);
        setImmediate(done);
      },
    });
    await exportBank({ ...options, target: slow });
    expect(content(Buffer.concat(chunks).toString())).toBe(content(fixture.read('piped.jsonl')));
    const gone = new Writable({ write: (_chunk, _encoding, done) => done(new Error('EPIPE')) });
    await expect(exportBank({ ...options, target: gone })).rejects.toMatchObject({ code: 'file_unwritable' });
  });

  it('is what one moment shows, whatever is written meanwhile', async () => {
    const bank = await fixture.bank('busy');
    await addCalls(fixture.postgres, bank.id, 120);
    const count = () => content(fixture.read('busy.jsonl')).match(/"table":"recordings"/g)?.length;
    const running = fixture.cli('export', bank.id, fixture.path('busy.jsonl'));
    const writing = addCalls(fixture.postgres, bank.id, 120, 8);
    expect((await running).code).toBe(0);
    await writing;
    expect((await fixture.cli('import', '--check', fixture.path('busy.jsonl'))).code).toBe(0);
    expect(count()).toBeLessThanOrEqual(160);
  });
});
