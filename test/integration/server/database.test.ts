/** The database behind the tools: away, back, slow, busy, with a client that is gone, under another login. */
import { once } from 'node:events';
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net';
import { DATABASE_LOGIN_REFUSED, scramVerifier } from '@bankhouse/core';
import { defineTool, type Statement, statement, type Toolset } from '@bankhouse/server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { call, callError, type Era, modernRequest, type RunningBank, runBank } from './support.ts';

const sleepTool = defineTool({
  name: 'get_sleep',
  title: 'Sleep',
  description: 'Sleeps in the database.',
  access: 'read',
  input: z.strictObject({ seconds: z.number() }),
  output: z.object({ slept: z.number(), application: z.string() }),
  async run({ seconds }, { tx }) {
    const [row] = await tx.rows<{ application: string }>(
      statement({ name: 'sleep', text: "select current_setting('application_name') as application, pg_sleep($1)" }),
      [seconds],
    );
    return { structured: { slept: seconds, application: row?.application ?? '' }, text: 'slept' };
  },
});
/** A tool whose one statement fails. */
const failingTool = (name: string, failing: Statement, values: readonly unknown[] = []) =>
  defineTool({
    name,
    title: name,
    description: 'Runs what is wrong.',
    access: 'read',
    input: z.strictObject({}),
    output: z.object({}),
    async run(_args, { tx }) {
      await tx.rows(failing, values);
      return { structured: {}, text: '' };
    },
  });
const brokenTool = failingTool(
  'get_broken',
  statement({ name: 'broken', text: 'select secret_column from api.no_such_function()' }),
);
/** More parameters than the statement has. */
const miscountedTool = failingTool('get_miscounted', statement({ text: 'select $1::int' }), [1, 2]);
const scopeTool = defineTool({
  name: 'get_scope',
  title: 'Scope',
  description: 'Says what the database knows about the caller.',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({ bank: z.string(), all: z.boolean(), vaults: z.array(z.string()).nullable(), pid: z.int() }),
  async run(_args, { tx }) {
    const [row] = await tx.rows<{ bank: string; all: boolean; vaults: string[] | null; pid: number }>(
      statement({
        name: 'scope',
        text: 'select bank, all_vaults as all, vaults, pg_backend_pid() as pid from api.who_asks()',
      }),
    );
    if (row === undefined) throw new Error('no row');
    return { structured: row, text: row.bank };
  },
});
const forgetTool = defineTool({
  name: 'get_forgotten',
  title: 'Forget',
  description: 'Makes the connection forget its prepared statements, as a pooler in between does.',
  access: 'read',
  input: z.strictObject({}),
  output: z.object({}),
  async run(_args, { tx }) {
    await tx.rows(statement({ name: 'forget', text: 'deallocate all' }));
    return { structured: {}, text: '' };
  },
});
/** When the transactions of two queries sent at once, and of one sent after their answers, began. */
const beginningsTool = (access: 'read' | 'write') =>
  defineTool({
    name: access === 'read' ? 'get_beginnings' : 'create_beginnings',
    title: 'Beginnings',
    description: 'Says when the transactions of its queries began.',
    access,
    ...(access === 'read' ? {} : { annotations: { destructiveHint: false, idempotentHint: true } }),
    input: z.strictObject({}),
    output: z.object({ first: z.string(), beside: z.string(), after: z.string() }),
    async run(_args, { tx }) {
      const began = async () => {
        const [row] = await tx.rows<{ at: string }>(
          statement({
            text: "select now()::text || ' ' || bank as at from api.who_asks()",
          }),
        );
        return row?.at ?? '';
      };
      const [first, beside] = await Promise.all([began(), began()]);
      return { structured: { first, beside, after: await began() }, text: '' };
    },
  });
const toolset: Toolset = {
  name: 'database',
  instructions: 'For tests.',
  tools: [
    ...[sleepTool, brokenTool, miscountedTool, scopeTool, forgetTool],
    ...[beginningsTool('read'), beginningsTool('write')],
  ],
  resources: [],
};

let postgres: TestPostgres;
let running: RunningBank;
beforeAll(async () => {
  postgres = await startPostgres();
  await addWhoAsks();
  running = await runBank(postgres, 'acme', { toolsets: [toolset] });
});
afterAll(async () => {
  await running?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

/** What the database makes of a caller, which no function of ours tells. */
const addWhoAsks = () =>
  withClient(postgres.superuserUrl, (client) =>
    client.query(`
      create function api.who_asks(out bank text, out all_vaults boolean, out vaults text[])
        language plpgsql stable security definer set search_path = pg_catalog set bankhouse.scope = ''
      as $$
      declare
        caller constant record := bank.caller();
      begin
        bank := caller.bank;
        all_vaults := caller.all_vaults;
        vaults := caller.vaults;
      end
      $$;
      alter function api.who_asks() owner to bankhouse_data;
      grant execute on function api.who_asks() to bankhouse_bank`),
  );

/** Statements of the bank that run now, seen by the superuser. */
const runningStatements = (of: RunningBank = running) =>
  withClient(postgres.superuserUrl, async (client) => {
    const { rows } = await client.query<{ n: number }>(
      "select count(*)::int n from pg_stat_activity where usename = $1 and state = 'active'",
      [of.bank.role],
    );
    return rows[0]?.n ?? 0;
  });

async function until(reached: () => Promise<boolean>, withinMs: number): Promise<number> {
  const start = performance.now();
  while (!(await reached())) {
    if (performance.now() - start > withinMs) throw new Error(`Not reached within ${withinMs} ms.`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return performance.now() - start;
}

describe('a transaction', () => {
  it('is under the caller that the database itself checked, and under the next one after it', async () => {
    await using all = await running.connect();
    await using some = await running.connect('modern', { vaults: ['sales'] });
    for (let turn = 0; turn < 3; turn++) {
      expect(await call(all, 'get_scope')).toMatchObject({ bank: 'acme', all: true });
      expect(await call(some, 'get_scope')).toMatchObject({ bank: 'acme', all: false, vaults: ['sales'] });
    }
  });

  it('names no request in what every role of the cluster can see (D8)', async () => {
    const rid = '0191f0aa-1111-7000-8000-000000000001';
    await using client = await running.connect('modern', { rid });
    const sleeping = call(client, 'get_sleep', { seconds: 0.5 });
    await until(async () => (await runningStatements()) === 1, 2000);
    const seen = await withClient(running.bank.url, async (sql) => {
      const { rows } = await sql.query<{ line: string }>('select a::text as line from pg_stat_activity a');
      return rows.map(({ line }) => line).join('\n');
    });
    expect(await sleeping).toMatchObject({ application: 'bankhouse' });
    // Its own statements are seen by the bank's role, with their parameters left out.
    expect(seen).toContain('pg_sleep');
    expect(seen).not.toContain(rid);
  });

  it('of a reader holds what is asked for at once, so that none stays open while a tool does something else', async () => {
    await using client = await running.connect();
    const { first, beside, after } = await call<Record<string, string>>(client, 'get_beginnings');
    expect(beside).toBe(first);
    expect(after).not.toBe(first);
    expect(after).toMatch(/ acme$/);
  });

  it('of a writer holds all that its call does', async () => {
    await using client = await running.connect('modern', { scopes: ['mcp:read', 'mcp:write'] });
    const { first, beside, after } = await call<Record<string, string>>(client, 'create_beginnings');
    expect([beside, after]).toEqual([first, first]);
  });

  it('that fails for a mistake of ours tells the caller nothing about it, and the log everything', async () => {
    await using client = await running.connect();
    const error = await callError(client, 'get_broken');
    expect(error).toMatchObject({ code: 'internal', retryable: false });
    expect(error.text).not.toMatch(/secret_column|no_such_function|select/);
    expect(running.logs.join('')).toContain('no_such_function');
    expect(await call(client, 'get_scope')).toMatchObject({ bank: 'acme' });
  });

  it('of a message that Postgres can not read is a mistake of ours, not its absence', async () => {
    await using client = await running.connect();
    expect(await callError(client, 'get_miscounted')).toMatchObject({ code: 'internal', retryable: false });
    expect(running.logs.join('')).toContain('bind message supplies 2 parameters');
    expect(await call(client, 'get_scope')).toMatchObject({ bank: 'acme' });
  });

  it('that takes too long is ended by its limit, with what to do', async () => {
    await using client = await running.connect();
    expect(await callError(client, 'get_sleep', { seconds: 30 })).toMatchObject({
      code: 'too_slow',
      text: expect.stringContaining('Narrow it'),
    });
  });

  it('of many callers at once gives each its own scope', async () => {
    const vaults = [null, ['sales'], ['support'], []];
    const clients = await Promise.all(vaults.map((list) => running.connect('modern', { vaults: list })));
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, turn) => call(clients[turn % 4] as never, 'get_scope')),
    );
    for (const [turn, answer] of answers.entries()) {
      const expected = vaults[turn % 4];
      expect([answer.all, answer.all === true ? null : answer.vaults]).toEqual([expected === null, expected]);
    }
    await Promise.all(clients.map((client) => client.close()));
  });
});

describe('a pooler that keeps no prepared statements', () => {
  it('is noticed, and statements go without names from then on', async () => {
    await using pooled = await runBank(postgres, 'pooled', { toolsets: [toolset] });
    await using client = await pooled.connect();
    await call(client, 'get_scope');
    await call(client, 'get_forgotten');
    for (let turn = 0; turn < 3; turn++) {
      expect(await call(client, 'get_scope')).toMatchObject({ bank: 'pooled' });
      await call(client, 'get_forgotten');
    }
    expect(pooled.logs.filter((line) => line.includes('prepared statements are lost'))).toHaveLength(1);
  });
});

describe('a client that goes away', () => {
  it.each<Era>(['modern', 'legacy'])('has its query cancelled in the database (%s)', async (era) => {
    const abort = new AbortController();
    const { body, headers } = modernRequest('tools/call', { name: 'get_sleep', arguments: { seconds: 4 } });
    const legacy = {
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'get_sleep', arguments: { seconds: 4 } },
    };
    const gone = fetch(running.url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...running.headers(),
        ...(era === 'modern' ? headers : {}),
      },
      body: JSON.stringify(era === 'modern' ? body : legacy),
      signal: abort.signal,
    }).then((response) => response.text());
    gone.catch(() => {});
    await until(async () => (await runningStatements()) === 1, 2000);
    abort.abort();
    await expect(gone).rejects.toThrow();
    expect(await until(async () => (await runningStatements()) === 0, 2000)).toBeLessThan(1000);
    await using client = await running.connect();
    expect(await call(client, 'get_scope')).toMatchObject({ bank: 'acme' });
  });
});

describe('a call for which no connection comes free', () => {
  it('is told that the bank is busy, while others work with the connections, and they finish', async () => {
    await using busy = await runBank(postgres, 'busy', { toolsets: [toolset] });
    await using client = await busy.connect();
    const sleeps = Array.from({ length: 3 }, () => call(client, 'get_sleep', { seconds: 3.5 }));
    await until(async () => (await runningStatements(busy)) === 3, 2000);
    expect(await callError(client, 'get_scope')).toMatchObject({ code: 'overloaded', retryable: true });
    expect(await Promise.all(sleeps)).toHaveLength(3);
    expect(await call(client, 'get_scope')).toMatchObject({ bank: 'busy' });
  });

  it('since none can be made is told that the database is away', async () => {
    // Takes connections and says nothing on them.
    const held: Socket[] = [];
    const silent = createServer((socket) => held.push(socket)).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    const { port } = silent.address() as AddressInfo;
    await using mute = await runBank(postgres, 'mute', {
      toolsets: [toolset],
      databaseUrl: (own) => own.replace(/:\d+\//, `:${port}/`),
    });
    await using client = await mute.connect();
    const errors = await Promise.all(Array.from({ length: 8 }, () => callError(client, 'get_scope')));
    expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(['database_unavailable']));
    for (const socket of held) socket.destroy();
    silent.close();
  });
});

describe('a pod that has just started', () => {
  it('waits until the way to the database is open to it, as a network policy may know its address a moment later', async () => {
    const shut = createServer().listen(0, '127.0.0.1');
    await once(shut, 'listening');
    const { port } = shut.address() as AddressInfo;
    shut.close();
    await once(shut, 'close');
    const { port: direct } = new URL(running.bank.url);
    await using newcomer = await runBank(postgres, 'newcomer', {
      toolsets: [toolset],
      databaseUrl: (own) => own.replace(/:\d+\//, `:${port}/`),
    });
    await using client = await newcomer.connect();
    const first = call<{ bank: string }>(client, 'get_scope');
    await until(async () => newcomer.logs.some((line) => line.includes('not let in')), 2000);
    const opened = createServer((socket) => {
      const onwards = createConnection(Number(direct), '127.0.0.1');
      socket.pipe(onwards).pipe(socket);
      for (const each of [socket, onwards]) each.on('error', () => {});
    }).listen(port, '127.0.0.1');
    expect((await first).bank).toBe('newcomer');
    opened.close();
  });
});

describe('a Postgres that restarts', () => {
  it('is met by a clear error while it is away, within 2 seconds, and by results as soon as it is back', async () => {
    await using other = await runBank(postgres, 'restarted', { toolsets: [toolset] });
    await using client = await other.connect();
    await call(client, 'get_scope');
    const underWay = callError(client, 'get_sleep', { seconds: 4 });
    await until(async () => (await runningStatements(other)) === 1, 2000);
    const restarted = postgres.restart();
    expect(await underWay).toMatchObject({ code: 'database_unavailable', retryable: true });

    const seen = new Set<string>();
    let slowest = 0;
    const attempt = async () => {
      const start = performance.now();
      const result = await client.callTool({ name: 'get_scope', arguments: {} });
      slowest = Math.max(slowest, performance.now() - start);
      seen.add(result.isError === true ? (JSON.stringify(result.content).match(/"text":"(\w+):/)?.[1] ?? '?') : 'ok');
      return result.isError !== true;
    };
    await until(attempt, 30_000);
    await restarted;
    expect(await attempt()).toBe(true);
    expect([...seen].filter((outcome) => outcome !== 'ok' && outcome !== 'database_unavailable')).toEqual([]);
    expect(slowest).toBeLessThan(2500);
  });

  it('is not noticed by a call that comes after it', async () => {
    await using client = await running.connect();
    const { pid } = await call<{ pid: number }>(client, 'get_scope');
    await postgres.restart();
    expect((await call<{ pid: number }>(client, 'get_scope')).pid).not.toBe(pid);
  });

  it('that is not there at all leaves handshake, lists and probes as they are', async () => {
    await using lonely = await runBank(postgres, 'lonely', {
      toolsets: [toolset],
      databaseUrl: (own) => own.replace(/:\d+\//, ':1/'),
    });
    await using client = await lonely.connect();
    expect((await client.listTools()).tools).toHaveLength(toolset.tools.length);
    expect(await callError(client, 'get_scope')).toMatchObject({
      code: 'database_unavailable',
      text: expect.stringMatching(/temporary.*again in a few seconds/),
    });
    const ready = await fetch(new URL('/readyz', lonely.url));
    expect(ready.status).toBe(200);
  });
});

describe('a rotated login', () => {
  it('is used as soon as the Secret has it, and no call fails in between (R3.7)', async () => {
    await using rotating = await runBank(postgres, 'rotating', { toolsets: [toolset] });
    await using client = await rotating.connect();
    const before = await call<{ pid: number }>(client, 'get_scope');
    await withClient(postgres.superuserUrl, async (admin) => {
      await admin.query(`alter role ${rotating.bank.role} password '${await scramVerifier('another')}'`);
    });
    const url = new URL(rotating.bank.url);
    url.password = 'another';
    rotating.writeSecret('database-url', url.toString());
    await until(async () => (await call<{ pid: number }>(client, 'get_scope')).pid !== before.pid, 5000);
  });

  it('that the Secret does not have yet is a temporary error', async () => {
    await using early = await runBank(postgres, 'early', { toolsets: [toolset] });
    await withClient(postgres.superuserUrl, async (admin) => {
      await admin.query(`alter role ${early.bank.role} password '${await scramVerifier('another')}'`);
    });
    await using client = await early.connect();
    expect(await callError(client, 'get_scope')).toMatchObject({ code: 'database_unavailable', retryable: true });
  });

  it.each(['modern', 'legacy'] as const)(
    'that the role changed by itself is told to the %s operator, and to nobody else, until it is mended (D7)',
    async (era) => {
      await using taken = await runBank(postgres, `taken${era}`, { toolsets: [toolset] });
      await using client = await taken.connect(era);
      // As the prober does: a client that stays would keep the list.
      const verify = async () => {
        await using operator = await taken.connect(era, { scopes: ['mcp:verify'], vaults: [] });
        await operator.listTools();
      };
      const setPassword = (password: string) =>
        withClient(postgres.superuserUrl, async (admin) => {
          await admin.query(`alter role ${taken.bank.role} password '${await scramVerifier(password)}'`);
          // A client of the older era listens, for which a connection was opened.
          await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where usename = $1', [
            taken.bank.role,
          ]);
        });
      await setPassword('another');
      // No call has needed the database since, and the operator's look shall cost no connection.
      await verify();
      await callError(client, 'get_scope');
      await expect(verify()).rejects.toMatchObject({ data: { code: DATABASE_LOGIN_REFUSED } });
      expect((await client.listTools()).tools).toHaveLength(toolset.tools.length);
      await setPassword(new URL(taken.bank.url).password);
      await verify();
      await call(client, 'get_scope');
    },
  );
});
