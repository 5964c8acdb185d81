/** A bank moves into another database of the same server: all that it has, as it was, and nothing of others. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createDatabase } from '../../../operator/src/database/index.ts';
import { abortMove, eraseLeft } from '../../../operator/src/moving/index.ts';
import { createBank, type TestBank, withClient } from '../../harness/postgres.ts';
import { VAULTS } from '../database/support.ts';
import { addNote, call, fill, moving, type Places, rowsOfBank, startPlaces, stateAt, titles } from './support.ts';

let places: Places;
let other: TestBank;
const AMOUNT = { calls: 40, notes: 24, chats: 6, messages: 24 };
const moved = { code: 'BH003' };

beforeAll(async () => {
  places = await startPlaces();
  other = await createBank(places.postgres, 'globex', { vaults: VAULTS });
  await fill(places.postgres, other, AMOUNT);
}, 60_000);
afterAll(() => places?.[Symbol.asyncDispose]());

let turn = 0;
async function aBank(): Promise<TestBank> {
  const bank = await createBank(places.postgres, `acme-${++turn}`, { vaults: VAULTS });
  await fill(places.postgres, bank, AMOUNT);
  return bank;
}

describe('a move', () => {
  it('brings every row of every table with rows of banks, and leaves other banks alone', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    const before = await rowsOfBank(shared, bank.id);
    const others = await rowsOfBank(shared, other.id);
    // A table that has nothing to move would prove nothing.
    expect(Object.entries(before).filter(([, rows]) => rows.length === 0)).toEqual([]);

    const { run, steps } = moving(bank, shared, own);
    const { keys } = await run();

    expect(await rowsOfBank(own, bank.id)).toEqual(before);
    expect(await rowsOfBank(shared, other.id)).toEqual(others);
    expect(keys).toBe(Object.values(before).flat().length - 1);
    expect([...new Set(steps.map(({ step }) => step))]).toEqual(
      'beginning copying freezing frozen verified sealed switched left arrived'.split(' '),
    );
    expect([await stateAt(shared, bank.id), await stateAt(own, bank.id)]).toEqual(['gone', undefined]);
  });

  it('is there for the same tokens with the same limits, and nowhere else', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    const seen = await Promise.all([titles(bank, shared), titles(bank, shared, bank.seal({ vaults: ['hr'] }))]);
    await moving(bank, shared, own).run();
    expect(await Promise.all([titles(bank, own), titles(bank, own, bank.seal({ vaults: ['hr'] }))])).toEqual(seen);
    expect(seen[1]?.length).toBeLessThan(seen[0]?.length ?? 0);
    await expect(titles(bank, shared)).rejects.toMatchObject(moved);
    await expect(addNote(bank, shared, 'late')).rejects.toMatchObject(moved);
    await addNote(bank, own, 'first here');
    expect((await titles(bank, own)).at(-1)).toBe('first here');
  });

  it('lets a feed go on where its reader was', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    const [feed] = await call<{ feed: string; position: string }>(
      bank,
      shared,
      bank.seal(),
      'select * from api.open_feed()',
    );
    const before = await addNote(bank, shared, 'before');
    await moving(bank, shared, own).run();
    const after = await addNote(bank, own, 'after');
    const [heard] = await call<{
      answer: { behind: boolean; ended: unknown[]; changes: { kind: string; id: string }[] };
    }>(bank, own, bank.seal(), 'select api.read_feeds($1, $2) as answer', [[feed?.feed], feed?.position]);
    expect(heard?.answer).toMatchObject({ behind: false, ended: [] });
    expect(heard?.answer.changes.map(({ id }) => id).sort()).toEqual([before, after].sort());
  });

  it('erases what it left behind, keeps the login, and moves back', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    await moving(bank, shared, own).run();
    const there = await rowsOfBank(own, bank.id);
    const erased = await eraseLeft({ source: shared.operator, bank, signal: new AbortController().signal });
    expect(erased).toBe(Object.values(there).flat().length - 1);
    expect(Object.values(await rowsOfBank(shared, bank.id)).flat()).toEqual([]);
    // Nothing of this incarnation is made again where it is not.
    await withClient(shared.operator, async (sql) => {
      const values = [bank.id, bank.uid, '[]', bank.role];
      const ensure = "select admin.ensure_bank($1, $2, 'x', 'business', $3, $4, 'SCRAM', 'd', '{}')";
      await expect(sql.query(ensure, values)).rejects.toMatchObject(moved);
    });
    // The operator waits, and tries again.
    const database = createDatabase(shared.operator, { connections: 1 });
    const record = { ...bank, displayName: 'x', type: 'business', vaults: [], credentialDigest: 'd' };
    const credentials = { verifier: async () => 'SCRAM', keys: {} };
    await expect(database.ensure(record, credentials, { force: false })).rejects.toMatchObject({ code: 'busy' });
    await database.close();
    await addNote(bank, own, 'meanwhile');
    await moving(bank, own, shared).run();
    expect((await titles(bank, shared)).at(-1)).toBe('meanwhile');
    expect([await stateAt(shared, bank.id), await stateAt(own, bank.id)]).toEqual([undefined, 'gone']);
  });

  it('called off before the switch leaves the source as it was, and nothing at the target', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    const before = await rowsOfBank(shared, bank.id);
    const { run } = moving(bank, shared, own, { switchOver: async () => false });
    await expect(run()).rejects.toMatchObject({ code: 'move_refused' });
    await expect(addNote(bank, shared, 'refused while it is sealed')).rejects.toMatchObject(moved);
    await abortMove({ source: shared.operator, target: own.operator, bank, signal: new AbortController().signal });
    expect(await rowsOfBank(shared, bank.id)).toEqual(before);
    expect(Object.values(await rowsOfBank(own, bank.id)).flat()).toEqual([]);
    expect([await stateAt(shared, bank.id), await stateAt(own, bank.id)]).toEqual([undefined, undefined]);
    await addNote(bank, shared, 'goes on');
  });

  it('leaves a bank alone that is in use where it would go', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    await moving(bank, shared, own).run();
    const there = await rowsOfBank(own, bank.id);
    // As after a restore of an old backup: the source has it, too.
    await withClient(shared.superuser, (sql) => sql.query('delete from bank.moves where id = $1', [bank.id]));
    await expect(moving(bank, shared, own).run()).rejects.toMatchObject({ code: 'move_refused' });
    expect(await rowsOfBank(own, bank.id)).toEqual(there);
  });

  it('is of one try: what an earlier one still does is refused', async () => {
    const { shared, own } = places;
    const bank = await aBank();
    let second: Promise<unknown> | undefined;
    const { run } = moving(bank, shared, own, {
      switchOver: async () => {
        second ??= moving(bank, shared, own).run();
        await second;
        return false;
      },
    });
    await expect(run()).rejects.toMatchObject({ code: 'move_refused' });
    expect([await stateAt(shared, bank.id), await stateAt(own, bank.id)]).toEqual(['gone', undefined]);
    await addNote(bank, own, 'moved by the second');
  });
});

describe('what keeps a copy from being one', () => {
  it('no trigger on a table with rows of banks does anything about rows that are copied', async () => {
    const unaware = await withClient(places.shared.superuser, async (sql) => {
      const { rows } = await sql.query<{ name: string }>(
        `select distinct f.oid::regproc::text as name
           from pg_trigger t join pg_class c on c.oid = t.tgrelid join pg_proc f on f.oid = t.tgfoid
          where c.relnamespace = 'bank'::regnamespace and not t.tgisinternal
            and f.prosrc !~ '\\nbegin\\n  if bank.copying\\(\\) then return (null|new); end if;\\n'`,
      );
      return rows.map(({ name }) => name);
    });
    expect(unaware).toEqual([]);
  });

  it.each([
    ['the bank itself', () => undefined],
    ['who may write for all', () => 'bankhouse_data'],
  ])('%s can not call its rows copied', async (_, as) => {
    const bank = await aBank();
    const role = as();
    const url = role === undefined ? bank.url : places.postgres.ownerUrl;
    const copying = await withClient(url, async (sql) => {
      await sql.query("begin read write; set local bankhouse.copying = 'on'");
      if (role === undefined) {
        await sql.query("select set_config('bankhouse.assertion', $1, true)", [bank.seal({ scopes: ['mcp:write'] })]);
        const { rows } = await sql.query(
          "select api.create_row('note', '{\"title\": \"stamped\"}') -> 'receipt' ->> 'version' as v",
        );
        await sql.query('commit');
        return rows[0]?.v !== '1';
      }
      await sql.query(`set local role ${role}`);
      const { rows } = await sql.query('select bank.copying() as v');
      await sql.query('rollback');
      return rows[0]?.v;
    });
    expect(copying).toBe(false);
    if (role === undefined) {
      const changes = (await rowsOfBank(places.shared, bank.id)).changes?.length ?? 0;
      expect(changes).toBeGreaterThan(0);
    }
  });
});
