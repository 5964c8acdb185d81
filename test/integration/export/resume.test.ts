/** What was interrupted goes on: the file is as if it had been written at once, the bank as if it had been imported at once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync, truncateSync } from 'node:fs';
import { createServer, type Server, Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { exportBank } from '../../../client/src/export/index.ts';
import { importBank } from '../../../client/src/import/index.ts';
import { withClient } from '../../harness/postgres.ts';
import { addRecording, asData } from '../database/support.ts';
import { addCalls, addEntities, content, type Fixture, startFixture } from './support.ts';

const CLI = new URL('../../../client/src/cli/main.ts', import.meta.url).pathname;

let fixture: Fixture;
let whole: string;
beforeAll(async () => {
  fixture = await startFixture();
  await fixture.bank('acme');
  await fixture.bank('globex');
  await addCalls(fixture.postgres, 'acme', 45);
  await addEntities(fixture.postgres, 'acme', { notes: 1200, chats: 4, messages: 1700 });
  await fixture.run('export', 'acme', fixture.path('whole.jsonl'));
  whole = fixture.read('whole.jsonl');
});
afterAll(() => fixture?.[Symbol.asyncDispose]());

const rowsIn = (id: string) =>
  withClient(fixture.postgres.superuserUrl, async (sql) => {
    const { rows } = await sql.query<{ n: number }>(
      `select sum((bank.digest_of(t, $1) ->> 'rows')::int)::int as n
         from unnest(array['fathom_calls', 'recordings', 'vault_entries', 'notes', 'tasks', 'chats', 'chat_messages', 'comments']) t`,
      [id],
    );
    return rows[0]?.n ?? 0;
  });

describe('an export', () => {
  it('that was cut off anywhere goes on to the same bytes', async () => {
    const bytes = Buffer.from(whole);
    const size = bytes.length;
    const first = bytes.indexOf('\n') + 1;
    const afterCheckpoint = bytes.indexOf('\n', bytes.indexOf('\n{"checkpoint"') + 1) + 1;
    const cuts = [0, first - 100, first - 1, first, first + 1, size - 100, size - 1, size];
    cuts.push(afterCheckpoint - 1, afterCheckpoint, afterCheckpoint + 1);
    for (let part = 1; part < 8; part++) cuts.push(Math.floor((size * part) / 8));
    for (const cut of cuts) {
      const file = fixture.write('cut.jsonl', bytes.subarray(0, cut));
      const { stderr } = await fixture.run('export', 'acme', file, '--resume');
      expect(content(fixture.read('cut.jsonl')), `cut at ${cut}`).toBe(content(whole));
      expect(stderr.includes('were there already')).toBe(cut >= afterCheckpoint);
    }
  });

  it('of which a crash left holes behind the last checkpoint goes on in front of them', async () => {
    const damaged = Buffer.from(whole);
    damaged.fill(0, Math.floor(damaged.length * 0.8), Math.floor(damaged.length * 0.9));
    const file = fixture.write('holes.jsonl', damaged);
    await fixture.run('export', 'acme', file, '--resume');
    expect(content(fixture.read('holes.jsonl'))).toBe(content(whole));
  });

  it('that is whole stays as it is', async () => {
    const file = fixture.write('done.jsonl', whole);
    await fixture.run('export', 'acme', file, '--resume');
    expect(fixture.read('done.jsonl')).toBe(whole);
  });

  it('says the time of the snapshot that all of it shows', async () => {
    const file = fixture.write('time.jsonl', Buffer.from(whole).subarray(0, Buffer.byteLength(whole) / 2));
    await fixture.run('export', 'acme', file, '--resume');
    const time = (text: string) => JSON.parse(text.slice(0, text.indexOf('\n'))).exportedAt as string;
    expect(Date.parse(time(fixture.read('time.jsonl')))).toBeGreaterThan(Date.parse(time(whole)));
    expect((await fixture.run('import', '--check', file)).code).toBe(0);
  });

  const changes: [string, string][] = [
    [
      'a row was changed',
      'update bank.notes set pinned = not pinned where bank_id = $1 and id = (select min(id::text)::uuid from bank.notes where bank_id = $1)',
    ],
    [
      'a row was added',
      "insert into bank.fathom_calls (bank_id, id, title, recording_start_time, recording_end_time) values ($1, 1, 'x', now(), now())",
    ],
    [
      'a row was removed',
      'delete from bank.vault_entries e where bank_id = $1 and recording_id = (select recording_id from bank.vault_entries where bank_id = $1 group by 1 having count(*) > 1 order by 1 limit 1) and vault_id = (select min(vault_id) from bank.vault_entries o where o.bank_id = e.bank_id and o.recording_id = e.recording_id)',
    ],
  ];
  it.each(changes)('is refused where %s that the file has already: no mixture', async (_sentence, statement) => {
    const id = `changed-${changes.findIndex(([, one]) => one === statement)}`;
    await fixture.bank(id);
    await fixture.run('import', fixture.path('whole.jsonl'), '--bank', id);
    const file = fixture.path(`${id}.jsonl`);
    await fixture.run('export', id, file);
    truncateSync(file, statSync(file).size - 100);
    await asData(fixture.postgres, (sql) => sql.query(statement, [id]));
    const before = fixture.read(`${id}.jsonl`);
    const ran = await fixture.cli('export', id, file, '--resume');
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringMatching(/was changed since .*into another file/) });
    expect(fixture.read(`${id}.jsonl`)).toBe(before);
  });

  it('takes what was changed behind the last checkpoint as it is now', async () => {
    await fixture.bank('grown');
    await fixture.run('import', fixture.path('whole.jsonl'), '--bank', 'grown');
    const file = fixture.path('grown.jsonl');
    await fixture.run('export', 'grown', file);
    const text = fixture.read('grown.jsonl');
    truncateSync(file, Buffer.byteLength(text.slice(0, text.indexOf('\n', text.indexOf('\n{"checkpoint"') + 1) + 1)));
    await asData(fixture.postgres, (sql) => sql.query("update bank.comments set body = 'new' where bank_id = 'grown'"));
    await fixture.run('export', 'grown', file, '--resume');
    await fixture.run('export', 'grown', fixture.path('anew.jsonl'));
    expect(content(fixture.read('grown.jsonl'))).toBe(content(fixture.read('anew.jsonl')));
  });

  it.each<[string, string, string, RegExp]>([
    ['another bank', 'globex', 'whole.jsonl', /is an export of bank acme, not of globex/],
    ['a file that is none', 'acme', 'letter.txt', /letter\.txt is no export of a bank/],
  ])('does not go on with %s', async (_sentence, bank, name, message) => {
    fixture.write('letter.txt', 'Dear Sir or Madam\n');
    const before = fixture.read(name);
    const ran = await fixture.cli('export', bank, fixture.path(name), '--resume');
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringMatching(message) });
    expect(fixture.read(name)).toBe(before);
  });

  it('whose connection breaks says how to go on, and does', async () => {
    const file = fixture.path('broken.jsonl');
    await using proxy = await startProxy(fixture.postgres.port);
    const failed = exportBank({
      databaseUrl: proxy.urlFor(fixture.postgres.ownerUrl),
      bank: 'acme',
      target: file,
      resume: false,
      onProgress: ({ rows }) => rows > 2500 && proxy.cut(),
    });
    await expect(failed).rejects.toMatchObject({ code: 'export_stopped', message: expect.stringMatching(/--resume$/) });
    const { stderr } = await fixture.run('export', 'acme', file, '--resume');
    expect(stderr).toMatch(/were there already/);
    expect(content(fixture.read('broken.jsonl'))).toBe(content(whole));
  });
});

describe('an import', () => {
  async function same(id: string): Promise<void> {
    await fixture.run('export', id, fixture.path(`${id}.jsonl`));
    expect(content(fixture.read(`${id}.jsonl`))).toBe(content(whole));
  }

  it('whose connection breaks again and again brings every row once', async () => {
    await fixture.bank('often');
    const file = fixture.path('whole.jsonl');
    const kept: number[] = [];
    for (let done = false; !done; ) {
      await using proxy = await startProxy(fixture.postgres.port);
      let batches = 0;
      const attempt = importBank({
        databaseUrl: proxy.urlFor(fixture.postgres.ownerUrl),
        file,
        bank: 'often',
        resume: kept.length > 0,
        onProgress: () => ++batches === 2 && proxy.cut(),
      });
      try {
        kept.push((await attempt).kept);
        done = true;
      } catch (error) {
        expect(error).toMatchObject({
          code: 'import_stopped',
          message: expect.stringMatching(/--bank often --resume$/),
        });
        kept.push(await rowsIn('often'));
      }
    }
    expect(kept.length).toBeGreaterThan(2);
    expect(kept).toEqual(kept.toSorted((a, b) => a - b));
    await same('often');
  });

  it('whose process is killed goes on in another', async () => {
    await fixture.bank('killed');
    const file = fixture.path('whole.jsonl');
    const child = spawn(process.execPath, [CLI, 'import', file, '--bank', 'killed'], {
      env: { ...process.env, DATABASE_URL: fixture.postgres.ownerUrl },
      stdio: 'ignore',
    });
    const exited = once(child, 'exit');
    await vi.waitFor(async () => expect(await rowsIn('killed')).toBeGreaterThan(0), { timeout: 30_000, interval: 20 });
    child.kill('SIGKILL');
    await exited;
    const { stderr } = await fixture.run('import', file, '--bank', 'killed', '--resume');
    expect(stderr).toMatch(/were there already/);
    await same('killed');
  });

  it('that ends between two checkpoints leaves nothing of what it had not committed', async () => {
    await fixture.bank('between');
    const file = fixture.path('whole.jsonl');
    const stop = await interruptedAt('between', file, 1);
    expect(await rowsIn('between')).toBe(stop - 3);
    await expect(fixture.run('import', file, '--bank', 'between')).rejects.toThrow(
      /stopped after \d+ rows; go on with/,
    );
    expect(await rowsIn('between')).toBe(stop - 3);
    await fixture.run('import', file, '--bank', 'between', '--resume');
    await same('between');
  });

  it('does not go on with another file', async () => {
    await fixture.bank('mixed');
    await fixture.bank('small');
    await asData(fixture.postgres, (sql) => addRecording(sql, 'small', { title: 'x', vaults: ['hr'] }));
    await fixture.run('export', 'small', fixture.path('small.jsonl'));
    await addEntities(fixture.postgres, 'small', { notes: 900, chats: 3, messages: 10 });
    await fixture.run('export', 'small', fixture.path('other.jsonl'));
    await interruptedAt('mixed', fixture.path('whole.jsonl'), 1);
    const before = await rowsIn('mixed');
    for (const name of ['small.jsonl', 'other.jsonl']) {
      const ran = await fixture.cli('import', fixture.path(name), '--bank', 'mixed', '--resume');
      expect(ran).toMatchObject({ code: 1, stderr: expect.stringMatching(/was of another file/) });
    }
    expect(await rowsIn('mixed')).toBe(before);
  });

  it('that has ended well is not done again', async () => {
    await fixture.bank('ended');
    const file = fixture.path('whole.jsonl');
    await fixture.run('import', file, '--bank', 'ended');
    const again = await fixture.run('import', file, '--bank', 'ended', '--resume');
    expect(again.stderr).toMatch(/were there already/);
    expect(await fixture.cli('import', file, '--bank', 'ended')).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/not empty/),
    });
    await same('ended');
  });

  it('twice at once brings every row once', async () => {
    await fixture.bank('twice');
    const both = await Promise.all(
      [1, 2].map(() => fixture.cli('import', fixture.path('whole.jsonl'), '--bank', 'twice')),
    );
    const failed = both.filter(({ code }) => code !== 0);
    expect(failed.length).toBe(1);
    expect(failed[0]?.stderr).toMatch(/Another import into twice is going on|stopped after|not empty/);
    await same('twice');
  });

  it('of a row that the database refuses says so and keeps what was before', async () => {
    await fixture.bank('refused');
    await asData(fixture.postgres, (sql) =>
      sql.query("insert into bank.vaults (bank_id, id, display_name) values ('refused', 'attic', 'Attic')"),
    );
    await asData(fixture.postgres, (sql) => addRecording(sql, 'refused', { title: 'x', vaults: ['attic'] }));
    await fixture.run('export', 'refused', fixture.path('refused.jsonl'));
    await fixture.bank('strict');
    await withClient(fixture.postgres.superuserUrl, async (sql) => {
      await sql.query("alter table bank.recordings add constraint no_x check (bank_id <> 'strict') not valid");
      const ran = await fixture.cli('import', fixture.path('refused.jsonl'), '--bank', 'strict');
      await sql.query('alter table bank.recordings drop constraint no_x');
      expect(ran).toMatchObject({ code: 1, stderr: expect.stringMatching(/refuses a row.*no_x/) });
    });
    await fixture.run('import', fixture.path('refused.jsonl'), '--bank', 'strict', '--resume');
    expect(await rowsIn('strict')).toBe(2);
  });
});

/** Breaks the connection of an import after so many checkpoints. @returns rows that were committed, vaults included */
async function interruptedAt(bank: string, file: string, checkpoints: number): Promise<number> {
  await using proxy = await startProxy(fixture.postgres.port);
  let committed = 0;
  let batches = 0;
  const attempt = importBank({
    databaseUrl: proxy.urlFor(fixture.postgres.ownerUrl),
    file,
    bank,
    resume: false,
    onProgress: ({ rows }) => {
      committed = rows;
      if (++batches === checkpoints) proxy.cut();
    },
  });
  await expect(attempt).rejects.toMatchObject({ code: 'import_stopped' });
  return committed;
}

interface Proxy extends AsyncDisposable {
  urlFor(url: string): string;
  /** Ends all connections, and takes no new one. */
  cut(): void;
}

/** Stands between a client and Postgres, so that a connection breaks as by a network. */
async function startProxy(port: number): Promise<Proxy> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((client) => {
    const upstream = new Socket().connect(port, '127.0.0.1');
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
      one.pipe(other);
    }
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    urlFor: (url) => url.replace(`:${port}/`, `:${own}/`),
    cut() {
      for (const socket of sockets) socket.destroy();
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
