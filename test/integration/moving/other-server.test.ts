/** A bank moves to another server: its roles are not there, and positions in the order of transactions say nothing there. */

import { scramVerifier } from '@bankhouse/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eraseLeft } from '../../../operator/src/moving/index.ts';
import { createBank, startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { VAULTS } from '../database/support.ts';
import { addNote, call, fill, moving, type Place, rowsOfBank, titles } from './support.ts';

let here: TestPostgres;
let there: TestPostgres;
beforeAll(async () => {
  [here, there] = await Promise.all([startPostgres(), startPostgres()]);
}, 60_000);
afterAll(async () => {
  await here?.stop();
  await there?.stop();
});

function placeOf(postgres: TestPostgres): Place {
  const at = (url: string) => {
    const changed = new URL(url);
    changed.port = String(postgres.port);
    return changed.toString();
  };
  return { operator: postgres.serviceUrl('operator'), superuser: postgres.superuserUrl, at };
}

describe('a move to another server', () => {
  it('brings all but who listens, and whoever listened before is told to read again', async () => {
    const [source, target] = [placeOf(here), placeOf(there)];
    const password = 'of-the-bank';
    const bank = await createBank(here, 'acme', { vaults: VAULTS, password });
    await fill(here, bank, { calls: 12, notes: 8, chats: 4, messages: 8 });
    const before = await rowsOfBank(source, bank.id);
    // Servers have counted differently far: the target's count is below the reader's, or above it.
    await withClient(target.superuser, async (sql) => {
      for (let n = 0; n < 300; n += 1) await sql.query('select pg_current_xact_id()');
    });
    const open = () =>
      call<{ feed: string; position: string }>(bank, source, bank.seal(), 'select * from api.open_feed()');
    const [listener] = await open();
    const early = { ...listener, position: '1000000:1000000:' };

    await moving(bank, source, target).run();
    await withClient(target.operator, async (sql) => {
      await sql.query('select admin.ensure_bank($1, $2, $3, $4, $5, $6, $7, $8, $9)', [
        bank.id,
        bank.uid,
        bank.id,
        'business',
        JSON.stringify(VAULTS),
        bank.role,
        await scramVerifier(password),
        'digest',
        JSON.stringify({ 1: bank.sealKey.toString('base64') }),
      ]);
    });

    const after = await rowsOfBank(target, bank.id);
    const { changes: _, feeds: __, change_floors: ___, login_roles: logins, ...rest } = before;
    expect(after).toMatchObject(rest);
    expect(logins).toHaveLength(1);
    expect(after.login_roles).toHaveLength(1);
    expect([after.changes, after.feeds]).toEqual([[], []]);
    await addNote(bank, target, 'first here');
    expect((await titles(bank, target)).at(-1)).toBe('first here');
    for (const { feed, position } of [listener ?? early, early]) {
      const [heard] = await call<{ answer: unknown }>(
        bank,
        target,
        bank.seal(),
        'select api.read_feeds($1, $2) as answer',
        [[feed], position],
      );
      expect(heard?.answer).toMatchObject({ behind: true, ended: [{ feed: 0, reason: 'closed' }] });
    }

    await eraseLeft({ source: source.operator, bank, signal: new AbortController().signal });
    const roles = (place: Place) =>
      withClient(
        place.superuser,
        async (sql) => (await sql.query('select from pg_roles where rolname = $1', [bank.role])).rowCount,
      );
    expect([await roles(source), await roles(target)]).toEqual([0, 1]);
    expect(Object.values(await rowsOfBank(source, bank.id)).flat()).toEqual([]);
  }, 60_000);
});
