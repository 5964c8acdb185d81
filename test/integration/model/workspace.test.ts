/**
 * R3.1, R3.9, R3.10, R1.6: random sequences of the workspace's tools, by three tokens at once, against the real server and database
 * and against a model in memory. After every step that writes each token lists every entity, and sees what the model says: no
 * more, no less, in that order.
 */
import type { Client } from '@modelcontextprotocol/client';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { call, callError, type RunningBank } from '../server/support.ts';
import { runWorkspace } from '../workspace/support.ts';
import { type Ask, entry, type Move, seen, told, wanted } from './answers.ts';
import { batch } from './batches.ts';
import { type Fields, KINDS, type Kind, Model, PLURALS, type Token } from './model.ts';
import { query } from './queries.ts';
import { search } from './searches.ts';
import { operation, RECORDINGS, TOKENS, token } from './steps.ts';

let postgres: TestPostgres;
let bank: RunningBank;
const clients = new Map<string, Client & AsyncDisposable>();

beforeAll(async () => {
  postgres = await startPostgres();
  bank = await runWorkspace(postgres, 'acme');
  for (const { name, sub, vaults } of TOKENS) {
    const changes = { sub, vaults: vaults === null ? null : [...vaults], scopes: ['mcp:read', 'mcp:write'] };
    clients.set(name, await bank.connect('modern', changes));
  }
});
afterAll(async () => {
  for (const client of clients.values()) await client[Symbol.asyncDispose]();
  await bank?.[Symbol.asyncDispose]();
  await postgres?.stop();
});

/** How often each came out. */
const outcomes = new Map<string, number>();

interface Real {
  /** What was done, for the message of a failure. */
  readonly steps: string[];
}

/** One step: the tool's call, and what the model makes of the same. */
class Step implements fc.AsyncCommand<Model, Real> {
  readonly #move: Move;
  readonly #writes: boolean;
  #said = '';

  constructor(move: Move, writes: boolean) {
    this.#move = move;
    this.#writes = writes;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const { said, outcome, actual, expected } = await this.#move(model, attempt);
    this.#said = said;
    real.steps.push(said);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    expect({ steps: real.steps, actual }).toEqual({ steps: real.steps, actual: expected });
    if (this.#writes) await compareReads(model, real);
  }

  toString(): string {
    return this.#said;
  }
}

const one = fc.tuple(token, operation).map(([who, plan]): Move => {
  return async (model, ask) => {
    const { name, args, expected } = plan(model, who);
    const answered = await ask(who, name, args);
    const result = expected(answered);
    return {
      said: `${who.name}: ${name} ${JSON.stringify(args)}`,
      outcome: result.ok ? 'ok' : result.code,
      actual: told(answered),
      expected: wanted(result),
    };
  };
});

const clientOf = (who: Token) => {
  const client = clients.get(who.name);
  if (client === undefined) throw new Error(`no client ${who.name}`);
  return client;
};

const attempt: Ask = async (who, name, args) => {
  const result = await clientOf(who).callTool({ name, arguments: { ...args } });
  if (result.isError !== true) return result.structuredContent as Fields;
  const error = result._meta?.['bankhouse.dev/error'] as Fields | undefined;
  return { code: error?.code ?? JSON.stringify(result.content), operation: error?.operation };
};

async function compareReads(model: Model, real: Real): Promise<void> {
  await Promise.all(
    TOKENS.flatMap((token) =>
      KINDS.map(async (kind) => {
        const plural = PLURALS[kind];
        const page = await call<Record<string, Fields[]>>(clientOf(token), `list_${plural}`, {
          archived: 'include',
          limit: 100,
        });
        const expected = model.visible(token, kind).map(entry);
        expect({ steps: real.steps, token: token.name, [plural]: (page[plural] ?? []).map(seen) }).toEqual({
          steps: real.steps,
          token: token.name,
          [plural]: expected,
        });
      }),
    ),
  );
  await Promise.all(
    model.known.slice(-1).flatMap(({ id, kind }) => TOKENS.map((token) => compareOne(model, token, kind, id))),
  );
}

async function compareOne(model: Model, token: Token, kind: Kind, id: string): Promise<void> {
  const row = model.visible(token, kind).find((one) => one.id === id);
  if (row === undefined) {
    expect((await callError(clientOf(token), `get_${kind}`, { id })).code).toBe('not_found');
    return;
  }
  const { text: _text, ...got } = await call(clientOf(token), `get_${kind}`, { id });
  expect(seen(got)).toEqual(entry(row));
}

/** A few rows of each kind in each vault and in none, so that the first steps find something. */
async function furnish(model: Model): Promise<void> {
  const all = TOKENS[2] as Token;
  const make = async (kind: Kind, args: Fields) => {
    const answered = await attempt(all, `create_${kind}`, args);
    expect(wanted(model.create(all, kind, args, undefined, () => String(answered.id)))).toEqual(told(answered));
    return String(answered.id);
  };
  for (const vaultId of ['sales', 'support', null]) {
    const noteId = await make('note', { title: 'note', vaultId });
    await make('task', { title: 'task', vaultId });
    const chatId = await make('chat', { title: 'chat', vaultId });
    const first = await make('chat_message', { chatId, body: 'first' });
    await make('chat_message', { chatId, body: 'second', replyTo: first });
    await make('comment', { parentKind: 'note', parentId: noteId, body: 'comment' });
    await make('comment', { parentKind: 'chat', parentId: chatId, body: 'comment' });
  }
}

const written = (move: fc.Arbitrary<Move>) => move.map((one) => new Step(one, true));
const read = (move: fc.Arbitrary<Move>) => move.map((one) => new Step(one, false));
const step = fc.oneof(
  { weight: 9, arbitrary: written(one) },
  { weight: 4, arbitrary: written(batch) },
  { weight: 4, arbitrary: read(query) },
  { weight: 4, arbitrary: read(search) },
);

const REFUSALS = ['conflict', 'invalid_argument', 'invalid_transition', 'not_found', 'stale_version'];
const BATCHES = ['batch', 'batch failed', 'batch replayed', 'batch conflict', 'dry run'];
const FINDINGS = ['query of rows', 'query of pages', 'query of total', 'query of groups', 'search'];
const sum = (numbers: readonly number[]) => numbers.reduce((total, number) => total + number, 0);

it('tools and model agree after every step, for every token', async () => {
  await fc.assert(
    fc.asyncProperty(
      // Not fc.commands, which begins with runs too short for rows to meet.
      fc.array(step, { minLength: 45, maxLength: 55 }),
      async (commands) => {
        await withClient(postgres.superuserUrl, (sql) =>
          sql.query(
            'truncate bank.notes, bank.tasks, bank.comments, bank.chats, bank.chat_messages, bank.idempotency_keys',
          ),
        );
        const model = new Model(['sales', 'support'], RECORDINGS);
        await furnish(model);
        await fc.asyncModelRun(() => ({ model, real: { steps: [] } }), commands);
      },
    ),
    { numRuns: 12, endOnFailure: true, interruptAfterTimeLimit: 30_000 },
  );
  // Steps that are all refused would show little, and so would reads that find nothing.
  const total = sum([...outcomes.values()]);
  const share = (...names: string[]) => sum(names.map((name) => outcomes.get(name) ?? 0)) / total;
  expect(share('ok', 'batch')).toBeGreaterThan(0.2);
  expect(share(...FINDINGS)).toBeGreaterThan(0.1);
  // Fewer, where the time limit was met.
  if (total < 400) return;
  expect([...outcomes.keys()]).toEqual(expect.arrayContaining([...REFUSALS, ...BATCHES, ...FINDINGS]));
}, 90_000);
