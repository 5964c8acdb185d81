/** A bank moves while it is written and read without a pause: what was acknowledged is at the target, once, and calls are refused for seconds. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createBank, type TestBank, withClient } from '../../harness/postgres.ts';
import { addRecording, asData, VAULTS } from '../database/support.ts';
import { fill, moving, type Place, type Places, rowsOfBank, startPlaces, writing } from './support.ts';

const FREEZE_MS = 5_000;
const WRITERS = 4;

let places: Places;
beforeAll(async () => {
  places = await startPlaces();
}, 60_000);
afterAll(() => places?.[Symbol.asyncDispose]());

interface Acknowledged {
  /** Bodies of notes by title, as last answered; deleted ones are gone from it. */
  notes: Map<string, string>;
  deleted: Set<string>;
  calls: number;
  refusedMs: number;
  failures: string[];
}

/** What one client does until it is told to stop: makes notes, changes some and deletes some; a call that is refused is sent again. */
async function write(bank: TestBank, at: () => Place, name: string, stop: () => boolean): Promise<Acknowledged> {
  const done: Acknowledged = { notes: new Map(), deleted: new Set(), calls: 0, refusedMs: 0, failures: [] };
  const send = async <T extends pg.QueryResultRow>(text: string, values: unknown[]): Promise<T | undefined> => {
    const startedAt = performance.now();
    for (;;) {
      const place = at();
      try {
        const row = await withClient(place.at(bank.url), async (sql) => {
          await sql.query('begin read write');
          await sql.query("select set_config('bankhouse.assertion', $1, true)", [writing(bank)]);
          // As batches do: rows of a subtransaction are as much a part of it.
          await sql.query('savepoint s');
          const { rows } = await sql.query<T>(text, values);
          await sql.query('release savepoint s');
          await sql.query('commit');
          return rows[0];
        });
        done.calls += 1;
        return row;
      } catch (error) {
        const code = (error as { code?: string }).code ?? String(error);
        if (code !== 'BH003') done.failures.push(code);
        if (stop() && code !== 'BH003') return undefined;
        done.refusedMs = Math.max(done.refusedMs, performance.now() - startedAt);
      }
    }
  };
  const ids: { id: string; title: string }[] = [];
  for (let n = 0; !stop(); n += 1) {
    const title = `${name} ${n}`;
    const made = await send<{ id: string }>("select api.create_row('note', $1) -> 'receipt' ->> 'id' as id", [
      JSON.stringify({ title, body: 'first', vaultId: 'sales' }),
    ]);
    if (made === undefined) break;
    done.notes.set(title, 'first');
    ids.push({ id: made.id, title });
    if (n % 3 === 1) {
      const { id, title: changed } = ids[Math.floor(ids.length / 2)] as { id: string; title: string };
      const row = await send<{ changed: boolean }>(
        `select (api.change_row('note', $1, (r.receipt ->> 'version')::int, $2) ->> 'changed')::boolean as changed
           from (select api.archive_row('note', $1, false) -> 'receipt' as receipt) r`,
        [id, JSON.stringify({ body: `changed ${n}` })],
      );
      if (row?.changed === true) done.notes.set(changed, `changed ${n}`);
    }
    if (n % 5 === 4) {
      const [gone] = ids.splice(0, 1);
      await send("select api.delete_row('note', $1)", [gone?.id]);
      done.notes.delete(gone?.title ?? '');
      done.deleted.add(gone?.title ?? '');
    }
  }
  return done;
}

describe('a bank that is used', () => {
  it('loses nothing that was acknowledged, has nothing twice, and refuses writes for no longer than is said', async () => {
    const { shared, own, postgres } = places;
    const bank = await createBank(postgres, 'acme', { vaults: VAULTS });
    await fill(postgres, bank, { calls: 60, notes: 30, chats: 6, messages: 30 });
    let place = shared;
    let stopped = false;
    const writers = Array.from({ length: WRITERS }, (_, n) =>
      write(
        bank,
        () => place,
        `writer ${n}`,
        () => stopped,
      ),
    );
    // Who loads, past schema api, is refused as well, and lost none that it committed.
    let loaded = 0;
    const loading = (async () => {
      for (;;)
        await asData(postgres, (sql) => addRecording(sql, bank.id, { title: 'loaded', vaults: ['hr'] })).then(() => {
          loaded += 1;
        });
    })().catch((error: unknown) => (error as { code?: string }).code);
    const readFailures: string[] = [];
    const reading = (async () => {
      while (place === shared) {
        await withClient(shared.at(bank.url), async (sql) => {
          await sql.query('begin');
          await sql.query("select set_config('bankhouse.assertion', $1, true)", [bank.seal()]);
          await sql.query("select api.read_rows('note', '{\"limit\": 5}')");
        }).catch((error: { code?: string }) => {
          if (place === shared) readFailures.push(error.code ?? String(error));
        });
      }
    })();
    const { run, steps } = moving(bank, shared, own, {
      freezeMs: FREEZE_MS,
      switchOver: async () => {
        place = own;
        return true;
      },
    });

    const moved = await run();
    const movedAt = performance.now();
    const done = await (async () => {
      // Each has written something at the target.
      const counts = () =>
        withClient(own.superuser, async (sql) => {
          const { rows } = await sql.query<{ n: number }>(
            "select count(*)::int as n from bank.changes where bank_id = $1 and at > now() - interval '1 second' and kind = 'notes'",
            [bank.id],
          );
          return rows[0]?.n ?? 0;
        });
      while ((await counts()) < 2 * WRITERS && performance.now() - movedAt < 20_000) await new Promise(setImmediate);
      stopped = true;
      return await Promise.all(writers);
    })();
    await reading;

    expect(await loading).toBe('BH003');
    expect(readFailures).toEqual([]);
    expect(done.flatMap(({ failures }) => failures)).toEqual([]);
    const rows = await withClient(own.superuser, async (sql) => {
      const found = await sql.query<{ title: string; body: string }>(
        "select title, body from bank.notes where bank_id = $1 and title like 'writer %' order by 1",
        [bank.id],
      );
      const recordings = await sql.query<{ n: number }>(
        "select count(*)::int as n from bank.recordings where bank_id = $1 and title = 'loaded'",
        [bank.id],
      );
      return { notes: found.rows, loaded: recordings.rows[0]?.n };
    });
    const acknowledged = done.flatMap(({ notes }) => [...notes].map(([title, body]) => ({ title, body })));
    const byTitle = (a: { title: string }, b: { title: string }) => (a.title < b.title ? -1 : 1);
    expect(rows.notes.sort(byTitle)).toEqual(acknowledged.sort(byTitle));
    expect(rows.loaded).toBe(loaded);
    expect(loaded).toBeGreaterThan(0);
    // Of what the source has, the target lacks only what was deleted there since.
    const [left, arrived] = [await rowsOfBank(shared, bank.id), await rowsOfBank(own, bank.id)];
    expect(arrived.recordings).toEqual(left.recordings);
    expect(arrived.search_documents).toEqual(left.search_documents);
    expect(arrived.call_counts).toEqual(left.call_counts);
    expect(steps.some(({ step }) => step === 'frozen')).toBe(true);

    const refusedMs = Math.max(...done.map(({ refusedMs }) => refusedMs));
    expect(moved.refusedMs).toBeLessThan(FREEZE_MS);
    expect(refusedMs).toBeLessThan(2 * FREEZE_MS);
  }, 120_000);

  it('does not wait for a transaction of its own that is left open, and what that one had written is not there', async () => {
    const { shared, own, postgres } = places;
    const bank = await createBank(postgres, 'held', { vaults: VAULTS });
    await fill(postgres, bank, { calls: 5, notes: 5, chats: 4, messages: 5 });
    await withClient(bank.url, async (sql) => {
      await sql.query('begin read write');
      await sql.query("select set_config('bankhouse.assertion', $1, true)", [writing(bank)]);
      await sql.query('select api.create_row(\'note\', \'{"title": "never committed"}\')');
      await moving(bank, shared, own, { freezeMs: FREEZE_MS }).run();
      await expect(sql.query('commit')).rejects.toThrow();
    });
    const { notes } = await rowsOfBank(own, bank.id);
    expect(notes?.filter((note) => note.includes('never committed'))).toEqual([]);
  }, 60_000);

  it('takes writes again where it does not come to rest, and stays', async () => {
    const { shared, own, postgres } = places;
    const bank = await createBank(postgres, 'restless', { vaults: VAULTS });
    await fill(postgres, bank, { calls: 5, notes: 5, chats: 4, messages: 5 });
    await withClient(postgres.ownerUrl, async (sql) => {
      // A loader that never ends: nobody ends its session for a move.
      await sql.query('begin; set local role bankhouse_data');
      await addRecording(sql, bank.id, { title: 'open', vaults: ['hr'] });
      await expect(moving(bank, shared, own, { freezeMs: 100 }).run()).rejects.toMatchObject({ code: 'move_too_busy' });
      await sql.query('commit');
    });
    const { recordings } = await rowsOfBank(shared, bank.id);
    expect(recordings?.filter((row) => row.includes('"open"'))).toHaveLength(1);
    await moving(bank, shared, own).run();
    expect((await rowsOfBank(own, bank.id)).recordings).toEqual(recordings);
  }, 60_000);
});
