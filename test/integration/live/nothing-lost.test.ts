/** R3.11 through bank servers: what breaks or changes under a stream loses nothing of what it is to hear. */
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createBank, withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { SOON } from '../../harness/soon.ts';
import { poolerBefore } from './relays.ts';
import { type Acme, noteUri, rename, runReplicas, startAcme } from './replicas.ts';
import { addNote, asData, VAULTS, write } from './support.ts';

let { postgres, acme } = {} as Acme;
shared(startAcme, (started) => {
  ({ postgres, acme } = started);
});

describe('nothing is lost', () => {
  it('when the connection that listens is killed while rows change', async () => {
    const ids = await write(acme.bank, async (sql) => {
      const made: string[] = [];
      for (let row = 0; row < 20; row++) made.push(await addNote(sql, 'sales'));
      return made;
    });
    await using listener = await acme.listen({ resourceSubscriptions: ids.map(noteUri) });
    const all = new Set<string>();
    for (const id of ids) {
      await withClient(postgres.superuserUrl, (sql) =>
        sql.query(
          "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'bankhouse changes'",
        ),
      );
      await rename(acme.bank, id, 'again');
    }
    await expect
      .poll(
        () => {
          for (const uri of listener.heard) all.add(uri);
          return all.size;
        },
        { timeout: 20_000 },
      )
      .toBe(ids.length);
  });

  it('when Postgres restarts', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await using listener = await acme.listen({ resourceSubscriptions: [noteUri(id)] });
    await postgres.restart();
    await rename(acme.bank, id, 'after');
    await listener.hears(noteUri(id));
  });

  it("when the bank's keys are rotated, and with them the channel", async () => {
    await using own = await runReplicas(postgres, 'keys');
    await using listener = await own.listen({ resourcesListChanged: true });
    const change = (text: string, values: unknown[] = []) => asData(postgres, (sql) => sql.query(text, values));
    const add = `insert into bank.notes (bank_id, vault_id, title, created_by, updated_by) values ('keys', 'hr', 'n', 't', 't')`;
    await change("insert into bank.bank_keys (bank_id, generation, key) values ('keys', 2, $1)", [randomBytes(32)]);
    await change(add);
    await listener.hears('list_changed');
    await change("delete from bank.bank_keys where bank_id = 'keys' and generation = 1");
    // Without a notification, which comes by the new channel alone, it would read every 15 seconds.
    for (let turn = 0; turn < 3; turn++) {
      await change(add);
      await listener.hears('list_changed');
    }
  });

  it("when the bank's login is rotated and the former one is dropped", async () => {
    await using own = await runReplicas(postgres, 'login');
    await using listener = await own.listen({ resourcesListChanged: true });
    const { url } = await createBank(postgres, 'login', { vaults: VAULTS, form: 'b', uid: own.bank.uid });
    own.useDatabaseUrl(url);
    await withClient(postgres.superuserUrl, (sql) => sql.query('select bank.drop_login_role($1)', [own.bank.role]));
    await asData(postgres, (sql) =>
      sql.query(
        "insert into bank.notes (bank_id, vault_id, title, created_by, updated_by) values ('login', 'hr', 'n', 't', 't')",
      ),
    );
    await listener.hears('list_changed');
  });

  it('of what follows the acknowledgement of a stream that opens while a read for others is under way', async () => {
    await using pooler = await poolerBefore(postgres.port);
    await using slow = await runReplicas(postgres, 'slow', { databaseUrl: pooler.url });
    await using other = await slow.listen({ resourcesListChanged: true });
    const id = await write(slow.bank, (sql) => addNote(sql, 'sales'));
    const uri = `bankhouse://slow/notes/${id}`;
    await other.hears('list_changed');
    pooler.hold('bankhouse changes');
    await expect.poll(() => pooler.held(), SOON).toBeGreaterThan(0);
    await using late = await slow.listen({ resourceSubscriptions: [uri] });
    await write(slow.bank, (sql) => sql.query("update bank.notes set title = 'right after' where id = $1", [id]));
    pooler.release();
    await late.hears(uri);
    expect(other.heard).toEqual([]);
  }, 30_000);

  it('when what a stream missed is not kept any more: it is told to read everything again', async () => {
    await using own = await runReplicas(postgres, 'pruned');
    const uri = `bankhouse://pruned/notes/${randomUUID()}`;
    await using listener = await own.listen({ resourceSubscriptions: [uri], resourcesListChanged: true });
    await asData(postgres, (sql) =>
      sql.query(
        "insert into bank.change_floors (bank_id, pruned) values ('pruned', pg_current_xact_id()); " +
          `select pg_notify(channel, '') from bank.bank_keys where bank_id = 'pruned'`,
      ),
    );
    await listener.hears(uri, 'list_changed');
  });
});
