/**
 * Two banks with a row in every table of schema bank, each column of which holds something that stands nowhere else: in another bank, and
 * in a vault of the own bank that no assertion of these tests opens. Tables come from the catalog; one that is not seeded here gets a row
 * made up from its columns.
 */
import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { createBank, startPostgres, type TestBank, type TestPostgres, withClient } from '../../../harness/postgres.ts';

/** What is hidden: a value of a column of a row that the bank `own` must not see. */
export interface Secret {
  readonly relation: string;
  readonly column: string;
  readonly type: string;
  /** Whose row it is of. */
  readonly place: 'another bank' | 'a hidden vault';
  readonly value: string;
}

export interface Planted {
  readonly postgres: TestPostgres;
  readonly own: TestBank;
  readonly secrets: readonly Secret[];
  /** A row of each kind in the vault that is open, by kind. */
  readonly visible: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

export const OWN = 'acme';
export const OTHER = 'qzbcdgv';
export const OPEN_VAULT = 'sales';
export const HIDDEN_VAULT = 'qzbcdfv';
const VAULTS = [OPEN_VAULT, HIDDEN_VAULT].map((id) => ({ id, displayName: `name of ${id}` }));

const KINDS = ['note', 'task', 'chat', 'chat_message', 'comment'] as const;

let made = 0;
/** A word of letters, so that it is one for a full-text search as well. */
export const newWord = () => `qz${[...String(1000 + ++made)].map((digit) => 'bcdfghjklm'[Number(digit)]).join('')}v`;

export async function plant(options: { rows?: number } = {}): Promise<Planted> {
  const postgres = await startPostgres({ settings: ['track_functions=all', 'autovacuum=off'] });
  try {
    const own = await createBank(postgres, OWN, { vaults: VAULTS });
    await createBank(postgres, OTHER, { vaults: VAULTS.map((vault) => ({ ...vault, displayName: newWord() })) });
    const visible: Record<string, string> = {};
    await withClient(postgres.ownerUrl, async (sql) => {
      await sql.query('begin; set local role bankhouse_data');
      await sql.query('update bank.vaults set display_name = $1 where bank_id = $2 and id = $3', [
        newWord(),
        OWN,
        HIDDEN_VAULT,
      ]);
      await seed(sql, OTHER, OPEN_VAULT, 7_100_001);
      await seed(sql, OTHER, HIDDEN_VAULT, 7_200_001);
      await seed(sql, OWN, HIDDEN_VAULT, 7_300_001);
      Object.assign(visible, await seed(sql, OWN, OPEN_VAULT, 7_400_001));
      for (const [bank, vault] of [
        [OTHER, OPEN_VAULT],
        [OWN, HIDDEN_VAULT],
        [OWN, OPEN_VAULT],
      ] as const) {
        await seedMany(sql, bank, vault, options.rows ?? 300);
      }
      await sql.query(
        `insert into bank.moves (id, uid, move, state, same_server, since) values ($1, $2, gen_random_uuid(), 'leaving', false, $3)`,
        [OTHER, newWord(), '2026-03-04T05:06:07.123456Z'],
      );
      await seedCalls(sql, OTHER, OPEN_VAULT, 8_100_000, options.rows ?? 300);
      await seedCalls(sql, OWN, HIDDEN_VAULT, 8_200_000, options.rows ?? 300);
      await seedCalls(sql, OWN, OPEN_VAULT, 8_300_000, options.rows ?? 300);
      await sql.query('commit');
    });
    await withClient(postgres.superuserUrl, async (sql) => {
      await makeUp(sql);
      await sql.query('vacuum (analyze)');
    });
    const secrets = await withClient(postgres.superuserUrl, readSecrets);
    return { postgres, own, secrets, visible, stop: () => postgres.stop() };
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

/** One of everything in a vault. @returns ids by kind */
async function seed(sql: pg.Client, bank: string, vault: string, number: number): Promise<Record<string, string>> {
  const instant = (n: number) => new Date(Date.UTC(2026, 2, 1) + number * 997 + n * 3_600_000).toISOString();
  const word = () => `${newWord()} ${newWord()}`;
  const segment = { start: 0, end: number, speaker: newWord(), text: word() };
  const put = async (table: string, columns: Record<string, unknown>) => {
    const names = Object.keys(columns);
    await sql.query(
      `insert into bank.${table} (${names}) values (${names.map((_, n) => `$${n + 1}`)})`,
      Object.values(columns),
    );
  };
  const legacy = {
    bank_id: bank,
    vault_id: vault,
    title: word(),
    recording_start_time: instant(0),
    recording_end_time: instant(1),
    calendar_invitees: JSON.stringify([{ name: newWord(), email: `${newWord()}@example.com` }]),
    transcript: JSON.stringify([{ speaker: { display_name: newWord() }, text: word(), timestamp: '00:00:05' }]),
    transcript_language: `en-${newWord().slice(2)}`,
    summary: word(),
    url: `https://example.com/${newWord()}`,
  };
  await put('fathom_calls', { ...legacy, id: number });
  // One that is migrated: its old id leads to the new row.
  await put('fathom_calls', { ...legacy, id: number + 50, title: word() });
  const recording = randomUUID();
  await put('recordings', {
    bank_id: bank,
    id: recording,
    legacy_id: number + 50,
    title: word(),
    started_at: instant(2),
    duration_seconds: number,
    participants: [`${newWord()}@example.com`],
    transcript: JSON.stringify([segment]),
    summary: word(),
    language: `en-${newWord().slice(2)}`,
    url: `https://example.com/${newWord()}`,
  });
  await put('vault_entries', { bank_id: bank, vault_id: vault, recording_id: recording });
  const ids = Object.fromEntries(KINDS.map((kind) => [kind, randomUUID()])) as Record<(typeof KINDS)[number], string>;
  const row = (kind: (typeof KINDS)[number], n: number) => ({
    bank_id: bank,
    id: ids[kind],
    vault_id: vault,
    version: number + n,
    created_at: instant(3 + n),
    created_by: newWord(),
    updated_at: instant(13 + n),
    updated_by: newWord(),
    language: `en-${newWord().slice(2)}`,
  });
  const call = `fathom-${number}`;
  await put('notes', { ...row('note', 0), title: word(), body: word(), tags: [newWord()], recording_id: call });
  await put('tasks', {
    ...row('task', 1),
    title: word(),
    description: word(),
    due_at: instant(30),
    assignee: newWord(),
    tags: [newWord()],
    recording_id: call,
    status: 'done',
    completed_at: instant(31),
  });
  await put('chats', {
    ...row('chat', 2),
    title: word(),
    participants: [newWord()],
    tags: [newWord()],
    recording_id: call,
  });
  await put('chat_messages', { ...row('chat_message', 3), chat_id: ids.chat, author: newWord(), body: word() });
  await put('comments', { ...row('comment', 4), parent_type: 'recording', parent_id: call, body: word() });
  for (const kind of KINDS) {
    await put('embeddings', {
      bank_id: bank,
      kind,
      item_id: ids[kind],
      passage: 0,
      vault_ids: [vault],
      at: instant(40),
      model: newWord(),
      dimensions: 1,
      digest: Buffer.alloc(32, made),
      embedding: [1],
    });
  }
  await put('idempotency_keys', {
    bank_id: bank,
    subject: `https://issuer.test ${newWord()}`,
    key: newWord(),
    entity: 'notes',
    digest: Buffer.alloc(32, made),
    outcome: JSON.stringify([newWord()]),
    outcome_all_vaults: true,
    outcome_vaults: [vault],
  });
  await put('feeds', {
    bank_id: bank,
    subject: newWord(),
    jti: newWord(),
    asserted_at: instant(50),
    all_vaults: false,
    vaults: [vault],
    expires_at: '2100-01-01T00:00:00Z',
  });
  await put('sessions', {
    bank_id: bank,
    id: randomUUID(),
    subject: newWord(),
    uris: [newWord()],
    expires_at: '2100-01-01T00:00:00Z',
  });
  return { ...ids, recording: call };
}

/** Words that many rows of a bank or vault have: what a planner or an index knows of them. */
async function seedMany(sql: pg.Client, bank: string, vault: string, rows: number): Promise<void> {
  await sql.query(
    `insert into bank.notes (bank_id, vault_id, created_by, updated_by, title, tags)
       select $1, $2, 'seed', 'seed', $3 || ' ' || n, array[$4] from generate_series(1, $5::int) n`,
    [
      bank,
      vault,
      bank === OWN && vault === OPEN_VAULT ? 'ordinary' : newWord(),
      bank === OWN && vault === OPEN_VAULT ? 'usual' : newWord(),
      rows,
    ],
  );
}

/** Calls enough that they are found by indexes. */
async function seedCalls(sql: pg.Client, bank: string, vault: string, first: number, rows: number): Promise<void> {
  const values = [bank, vault, first, rows];
  await sql.query(
    `insert into bank.fathom_calls (bank_id, vault_id, id, title, recording_start_time, recording_end_time)
       select $1, $2, $3::bigint + n, 'seed ' || n, '2026-01-01'::timestamptz + n * interval '1 minute', '2026-01-02'::timestamptz + n * interval '1 minute'
         from generate_series(1, $4::int) n`,
    values,
  );
  await sql.query(
    `insert into bank.recordings (bank_id, id, title, started_at, duration_seconds)
       select $1, md5($1 || $2 || n)::uuid, 'seed ' || n, '2026-01-01'::timestamptz + n * interval '1 minute', 60 + 0 * $3::bigint
         from generate_series(1, $4::int) n`,
    values,
  );
  await sql.query(
    `insert into bank.vault_entries (bank_id, vault_id, recording_id)
       select $1, $2, md5($1 || $2 || n)::uuid from generate_series(1 + 0 * $3::bigint, $4::int) n`,
    values,
  );
}

/** A row of the other bank in each table that has none. */
async function makeUp(sql: pg.Client): Promise<void> {
  for (const { name, columns } of await tables(sql)) {
    const has = columns.some((column) => column.name === 'bank_id');
    const { rows } = await sql.query(`select from bank.${name} ${has ? `where bank_id = '${OTHER}'` : ''} limit 1`);
    if (rows.length > 0) continue;
    const given = columns.filter((column) => column.name === 'bank_id' || (column.required && !column.generated));
    const values = given.map((column) => (column.name === 'bank_id' ? `'${OTHER}'` : madeUp(column.type)));
    try {
      await sql.query(
        `insert into bank.${name} (${given.map((column) => column.name)}) overriding system value values (${values})`,
      );
    } catch (error) {
      throw new Error(
        `No row could be made up for bank.${name}: seed one in test/integration/isolation/oracle/planted.ts. (${error})`,
      );
    }
  }
}

function madeUp(type: string): string {
  if (type.endsWith('[]')) return `array[${madeUp(type.slice(0, -2))}]::${type}`;
  switch (type) {
    case 'uuid':
      return `'${randomUUID()}'`;
    case 'boolean':
      return 'true';
    case 'timestamp with time zone':
      return `'2026-03-05T01:02:03.${100_000 + ++made}Z'`;
    case 'jsonb':
    case 'json':
      return `'{"made": "${newWord()}"}'`;
    case 'bytea':
      return `sha256('${newWord()}')`;
    case 'xid8':
      return `'${900_000 + ++made}'`;
    case 'integer':
    case 'bigint':
    case 'numeric':
    case 'smallint':
    case 'real':
    case 'double precision':
      return String(8_000_000 + ++made);
    default:
      return `'${newWord()}'`;
  }
}

interface Column {
  readonly name: string;
  readonly type: string;
  readonly required: boolean;
  readonly generated: boolean;
}

export async function tables(sql: pg.Client): Promise<{ name: string; columns: Column[] }[]> {
  const { rows } = await sql.query<{ name: string; columns: Column[] }>(
    `select c.relname as name, json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, null),
              'required', a.attnotnull and not a.atthasdef and a.attidentity = '',
              'generated', a.attgenerated <> '') order by a.attnum) as columns
       from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      where c.relnamespace = 'bank'::regnamespace and c.relkind in ('r', 'p') group by c.relname order by 1`,
  );
  return rows;
}

/** Values of rows that are hidden, as far as no row that is visible has the same. */
async function readSecrets(sql: pg.Client): Promise<Secret[]> {
  const found: Secret[] = [];
  const known = new Set<string>();
  const rows: {
    relation: string;
    columns: Column[];
    place: Secret['place'] | undefined;
    row: Record<string, string | null>;
  }[] = [];
  const { rows: entries } = await sql.query<{ id: string }>(
    'select recording_id::text as id from bank.vault_entries where bank_id = $1 and vault_id = $2',
    [OWN, HIDDEN_VAULT],
  );
  const hidden = new Set(entries.map(({ id }) => id));
  for (const { name, columns } of await tables(sql)) {
    const texts = columns.map(({ name: column, type }) =>
      type === 'timestamp with time zone' ? `'${column}', bank.instant(${column})` : `'${column}', ${column}::text`,
    );
    const { rows: all } = await sql.query<{ row: Record<string, string | null> }>(
      `select jsonb_build_object(${texts.join(', ')}) as row from bank.${name}`,
    );
    for (const { row } of all) rows.push({ relation: name, columns, place: placeOf(row, hidden), row });
  }
  for (const { place, row } of rows) {
    if (place === undefined) for (const value of Object.values(row)) if (value !== null) known.add(value);
  }
  // Of many rows alike, the first: frequency is seen by any of them.
  const seen = new Set<string>();
  for (const { relation, columns, place, row } of rows) {
    if (place === undefined) continue;
    for (const { name, type } of columns) {
      const value = row[name];
      const which = `${relation}.${name} ${place}`;
      if (
        value === null ||
        value === undefined ||
        value === '' ||
        value === '{}' ||
        known.has(value) ||
        seen.has(which)
      )
        continue;
      seen.add(which);
      found.push({ relation, column: name, type, place, value });
    }
  }
  return found;
}

function placeOf(row: Record<string, string | null>, hidden: ReadonlySet<string>): Secret['place'] | undefined {
  const bank = row.bank_id ?? row.id;
  // What is of no bank is nobody's to see.
  if (!('bank_id' in row) && row.display_name === undefined) return 'another bank';
  if (bank !== undefined && bank !== null && bank !== OWN && !('bank_id' in row && row.bank_id === OWN))
    return 'another bank';
  return Object.entries(row).some(([name, value]) => /vault|scopes/.test(name) && value?.includes(HIDDEN_VAULT)) ||
    hidden.has(row.recording_id ?? row.id ?? '') ||
    ('display_name' in row && row.id === HIDDEN_VAULT)
    ? 'a hidden vault'
    : undefined;
}
