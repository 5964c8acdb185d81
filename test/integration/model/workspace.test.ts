/**
 * R3.1, R1.6: random sequences of the workspace's tools, by three tokens at once, against the real server and database and against
 * a model in memory. After every step each token lists every entity, and sees what the model says: no more, no less, in that order.
 */
import { randomUUID } from 'node:crypto';
import type { Client } from '@modelcontextprotocol/client';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startPostgres, type TestPostgres, withClient } from '../../harness/postgres.ts';
import { call, callError, type RunningBank } from '../server/support.ts';
import { IN_BOTH, IN_SALES, LEGACY, runWorkspace } from '../workspace/support.ts';
import {
  ACTIONS,
  type Code,
  type Fields,
  KINDS,
  type Kind,
  Model,
  PLURALS,
  type Result,
  type Row,
  type Token,
} from './model.ts';

/** Two tokens of one vault each and one of all; the first and the last are the same person's. */
const TOKENS: readonly Token[] = [
  { name: 'sales', sub: 'ann', vaults: ['sales'] },
  { name: 'support', sub: 'ben', vaults: ['support'] },
  { name: 'all', sub: 'ann', vaults: null },
];
const RECORDINGS = new Map([
  [IN_SALES, ['sales']],
  [IN_BOTH, ['sales', 'support']],
  [LEGACY, ['support']],
]);

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

/** How often a call succeeded, and each code. */
const outcomes = new Map<string, number>();

interface Real {
  /** What was done, for the message of a failure. */
  readonly steps: string[];
}

interface Plan {
  readonly name: string;
  readonly args: Fields;
  /** Does the same to the model. */
  readonly expected: (answered: Fields) => Result;
}

/** One step: the tool's call, and what the model makes of the same. */
class Step implements fc.AsyncCommand<Model, Real> {
  readonly #token: Token;
  readonly #plan: (model: Model) => Plan;
  #said = '';

  constructor(token: Token, plan: (model: Model) => Plan) {
    this.#token = token;
    this.#plan = plan;
  }

  check(): boolean {
    return true;
  }

  async run(model: Model, real: Real): Promise<void> {
    const { name, args, expected } = this.#plan(model);
    this.#said = `${this.#token.name}: ${name} ${JSON.stringify(args)}`;
    real.steps.push(this.#said);
    const answered = await attempt(this.#token, name, args);
    const result = expected(answered);
    const outcome = result.ok ? 'ok' : result.code;
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    expect({ steps: real.steps, answered: told(answered) }).toEqual({ steps: real.steps, answered: wanted(result) });
    await compareReads(model, real);
  }

  toString(): string {
    return this.#said;
  }
}

const clientOf = (token: Token) => {
  const client = clients.get(token.name);
  if (client === undefined) throw new Error(`no client ${token.name}`);
  return client;
};

/** The answer, or {code}. */
async function attempt(token: Token, name: string, args: Fields): Promise<Fields> {
  const result = await clientOf(token).callTool({ name, arguments: { ...args } });
  if (result.isError !== true) return result.structuredContent as Fields;
  return {
    code: (result._meta?.['bankhouse.dev/error'] as { code: Code } | undefined)?.code ?? JSON.stringify(result.content),
  };
}

/** Of an answer what the model knows. */
function told(answered: Fields): Fields {
  const { id, version, status, vaultId, archived, replayed, deleted, code } = answered;
  return { id, version, status, vaultId, archived, replayed, deleted, code };
}

function wanted(result: Result): Fields {
  if (!result.ok) return told({ code: result.code });
  const { row, replayed, deleted } = result;
  return deleted === undefined ? told({ ...row, replayed }) : told({ id: row.id, deleted });
}

/** A row as lists give it. */
function entry(row: Row): Fields {
  const { id, version, status, vaultId, createdBy, updatedBy, archived, fields } = row;
  return { id, version, status, vaultId, createdBy, updatedBy, archived, ...fields };
}

function seen(listed: Fields): Fields {
  const { createdAt: _c, updatedAt: _u, archivedAt, truncated: _t, completedAt, ...rest } = listed;
  if (completedAt !== undefined && (completedAt !== null) !== (rest.status === 'done')) return { ...rest, completedAt };
  return { ...rest, archived: archivedAt !== null };
}

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

/**
 * Mostly the id of a row that the token sees; each fourth time any that was ever made, of whatever vault and perhaps gone. One
 * that never was, where there is none.
 */
function idOf(model: Model, who: Token, kind: Kind, n: number): string {
  const ids = n % 4 === 0 ? model.known.filter((one) => one.kind === kind) : model.visible(who, kind);
  return ids[Math.floor(n / 4) % Math.max(1, ids.length)]?.id ?? '00000000-0000-4000-8000-0000000000ff';
}

/** The version that the row has, or one before it. */
const versionOf = (model: Model, id: string, behind: number) =>
  Math.max(1, (model.rows.get(id)?.version ?? 1) - behind);

const token = fc.constantFrom(...TOKENS);
const kind = fc.constantFrom(...KINDS);
const place = fc.nat(39);
/** Mostly the right version. */
const behind = fc.constantFrom(0, 0, 0, 0, 1);
/** Mostly left out: then a new row is in the only vault of a token, and one that is there stays where it is. */
const vault = fc.oneof(
  { weight: 3, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.constantFrom('sales', 'support', 'elsewhere', null) },
);
const word = fc.constantFrom('one', 'two', 'zwölf', 'a "quoted" text', '%_\\');
const recording = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(null, undefined) },
  { weight: 1, arbitrary: fc.constantFrom(IN_SALES, IN_BOTH, LEGACY, '00000000-0000-4000-8000-0000000000aa') },
);

/** Fields that say something of this kind; what is undefined is left out. */
function content(of: Kind, text: string, recordingId: string | null | undefined, whole: boolean): Fields {
  const required: Fields =
    of === 'comment' || of === 'chat_message' ? { body: text } : whole ? { title: text } : { tags: [text] };
  const about = of === 'comment' || of === 'chat_message' || recordingId === undefined ? {} : { recordingId };
  return { ...required, ...about };
}

const create = fc
  .record({
    token,
    kind,
    vault,
    text: word,
    recording,
    parent: place,
    about: kind,
    reply: fc.option(place),
    key: fc.constantFrom(undefined, undefined, 'k1', 'k2'),
  })
  .map(
    (draw) =>
      new Step(draw.token, (model) => {
        const args = newRow(model, draw);
        return {
          name: `create_${draw.kind}`,
          args: { ...args, ...(draw.key === undefined ? {} : { idempotencyKey: draw.key }) },
          expected: (answered) =>
            model.create(draw.token, draw.kind, args, draw.key, () => String(answered.id ?? randomUUID())),
        };
      }),
  );

interface Draw {
  token: Token;
  kind: Kind;
  vault: string | null | undefined;
  text: string;
  recording: string | null | undefined;
  parent: number;
  about: Kind;
  reply: number | null;
}

function newRow(model: Model, draw: Draw): Fields {
  const base = content(draw.kind, draw.text, draw.recording ?? undefined, true);
  if (draw.kind === 'chat_message') {
    const replyTo =
      draw.reply === null || draw.reply > 12 ? {} : { replyTo: idOf(model, draw.token, 'chat_message', draw.reply) };
    return { ...base, chatId: idOf(model, draw.token, 'chat', draw.parent), ...replyTo };
  }
  const given = draw.vault === undefined ? {} : { vaultId: draw.vault };
  if (draw.kind !== 'comment') return { ...base, ...given };
  if (draw.about === 'comment' || draw.about === 'chat_message') {
    return {
      ...base,
      parentType: 'recording',
      parentId: draw.recording ?? IN_BOTH,
      ...(draw.vault === 'elsewhere' ? {} : given),
    };
  }
  return { ...base, parentType: draw.about, parentId: idOf(model, draw.token, draw.about, draw.parent) };
}

const change = fc.record({ token, kind, row: place, behind, vault, text: word, recording, whole: fc.boolean() }).map(
  (draw) =>
    new Step(draw.token, (model) => {
      const id = idOf(model, draw.token, draw.kind, draw.row);
      const version = versionOf(model, id, draw.behind);
      const moves = draw.kind !== 'comment' && draw.kind !== 'chat_message' && draw.vault !== undefined;
      const args = {
        ...content(draw.kind, draw.text, draw.recording, draw.whole),
        ...(moves ? { vaultId: draw.vault } : {}),
      };
      return {
        name: `${draw.whole ? 'update' : 'patch'}_${draw.kind}`,
        args: { id, version, ...args },
        expected: () => model.change(draw.token, draw.kind, id, version, args, draw.whole),
      };
    }),
);

const remove = fc.record({ token, kind, row: place, behind: fc.constantFrom(undefined, 0, 1) }).map(
  (draw) =>
    new Step(draw.token, (model) => {
      const id = idOf(model, draw.token, draw.kind, draw.row);
      const version = draw.behind === undefined ? undefined : versionOf(model, id, draw.behind);
      return {
        name: `delete_${draw.kind}`,
        args: { id, ...(version === undefined ? {} : { version }) },
        expected: () => model.delete(draw.token, draw.kind, id, version),
      };
    }),
);

const archive = fc.record({ token, kind, row: place, archived: fc.boolean() }).map(
  (draw) =>
    new Step(draw.token, (model) => {
      const id = idOf(model, draw.token, draw.kind, draw.row);
      return {
        name: `archive_${draw.kind}`,
        args: { id, archived: draw.archived },
        expected: () => model.archive(draw.token, draw.kind, id, draw.archived),
      };
    }),
);

const process = fc
  .record({ token, kind, row: place, action: fc.nat(3), behind: fc.constantFrom(undefined, undefined, 0, 1) })
  .map(
    (draw) =>
      new Step(draw.token, (model) => {
        const id = idOf(model, draw.token, draw.kind, draw.row);
        const names = Object.keys(ACTIONS[draw.kind]);
        const action = names[draw.action % names.length] ?? '';
        const version = draw.behind === undefined ? undefined : versionOf(model, id, draw.behind);
        return {
          name: `process_${draw.kind}`,
          args: { id, action, ...(version === undefined ? {} : { version }) },
          expected: () => model.process(draw.token, draw.kind, id, action, version),
        };
      }),
  );

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
    await make('comment', { parentType: 'note', parentId: noteId, body: 'comment' });
    await make('comment', { parentType: 'chat', parentId: chatId, body: 'comment' });
  }
}

it('tools and model agree after every step, for every token', async () => {
  await fc.assert(
    fc.asyncProperty(
      // Not fc.commands, which begins with runs too short for rows to meet.
      fc.array(fc.oneof(create, create, create, change, change, remove, archive, process, process), {
        minLength: 40,
        maxLength: 50,
      }),
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
    { numRuns: 6, endOnFailure: true, interruptAfterTimeLimit: 35_000 },
  );
  // Steps that are all refused would show little.
  const total = [...outcomes.values()].reduce((sum, amount) => sum + amount, 0);
  expect((outcomes.get('ok') ?? 0) / total).toBeGreaterThan(0.3);
  expect([...outcomes.keys()].sort()).toEqual([
    'conflict',
    'invalid_argument',
    'invalid_transition',
    'not_found',
    'ok',
    'stale_version',
  ]);
}, 90_000);
