/** R3.11 through bank servers: how often they read what changed, whoever writes or notifies however much. */
import { describe, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { SOON } from '../../harness/soon.ts';
import { counterBefore, poolerBefore } from './relays.ts';
import { type Acme, NOTES, noteUri, rename, runReplicas, startAcme } from './replicas.ts';
import { addNote, asData, openFeed, write } from './support.ts';

let { postgres, acme } = {} as Acme;
shared(startAcme, (started) => {
  ({ postgres, acme } = started);
});

describe('a storm of 5,000 changes', () => {
  it('reaches a reader as few notices, and the last change is among them', async () => {
    const id = await write(acme.bank, (sql) => addNote(sql, 'sales'));
    await using listener = await acme.listen({
      resourceSubscriptions: [noteUri(id), NOTES],
      resourcesListChanged: true,
    });
    const started = performance.now();
    for (let turn = 0; turn < 50; turn++) {
      await asData(postgres, (sql) =>
        sql.query(
          `do $$ begin for i in 1..100 loop
             update bank.notes set title = 'storm ' || i where bank_id = 'acme' and id = '${id}';
           end loop; end $$`,
        ),
      );
    }
    await expect.poll(() => listener.heard.length, SOON).toBeGreaterThan(0);
    const reads = (performance.now() - started) / 200 + 2;
    expect(listener.heard.length).toBeLessThanOrEqual(2 * reads);
    await listener.hears(NOTES);
    await rename(acme.bank, id, 'calm');
    await listener.hears(noteUri(id), NOTES);
  });
});

describe('notifications that others forge', () => {
  it('cause reads at a bounded rate, and say nothing', async () => {
    await using way = await counterBefore(postgres.port, 'api.read_feeds');
    await using own = await runReplicas(postgres, 'forged', { databaseUrl: way.url });
    const { channel } = await openFeed(own.bank);
    await using listener = await own.listen({ resourcesListChanged: true });
    await expect.poll(() => way.counted(), SOON).toBeGreaterThan(0);
    const before = way.counted();
    const started = performance.now();
    await withClient(acme.bank.url, async (sql) => {
      for (let turn = 0; turn < 300 || way.counted() < before + 8; turn++) {
        await sql.query('select pg_notify($1, $2)', [channel, `list_changed ${turn}`]);
      }
    });
    expect(way.counted() - before).toBeLessThanOrEqual((performance.now() - started) / 200 + 3);
    expect(listener.heard).toEqual([]);
  });
});

describe('behind a pooler', () => {
  it('changes are looked for, and the log says so once', async () => {
    await using pooler = await poolerBefore(postgres.port);
    await using pooled = await runReplicas(postgres, 'pooled', { databaseUrl: pooler.url });
    await using listener = await pooled.listen({ resourcesListChanged: true });
    await write(pooled.bank, (sql) => addNote(sql, 'sales'));
    await listener.hears('list_changed');
    await write(pooled.bank, (sql) => addNote(sql, 'sales'));
    await listener.hears('list_changed');
    expect(pooled.logs.filter((line) => line.includes('looked for'))).toHaveLength(1);
  });
});
