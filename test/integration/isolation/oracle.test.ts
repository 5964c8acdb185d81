/**
 * D1, D2, generated: whether somebody who has a bank's login can tell a right guess from a wrong one, about any column of any table, in
 * another bank or in a vault that no assertion opens, by anything that SQL shows: rows, errors, plans, pages and rows read, locks, statistics,
 * messages. Tables, columns and functions come from the catalog, so that a new one is asked about as soon as it is there.
 *
 * Not looked at, and why:
 * - The wall's clock. What is alike in all that is looked at takes alike long but for the machine's own doing; and a clock is taken from nobody.
 * - Ids of 122 random bits. Nobody finds one by trying, and who knows one was told it. Old ids, ids of vaults and of banks can be guessed, and
 *   are asked about.
 * - How much there is of everything together: sizes of tables, and counters of the whole cluster. They say nothing about any value.
 * - How frequent a word is in the index of all banks together, from some hundred rows on that have it: see docs/security.md.
 *
 * Arguments of functions are asked about a part of the secrets each, all of them with BANKHOUSE_ORACLE=all.
 */
import pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { type Guesses, guessesOf } from './oracle/guesses.ts';
import { type Observation, observe, observeNotices, told } from './oracle/observe.ts';
import { HIDDEN_VAULT, OPEN_VAULT, OTHER, type Planted, plant, type Secret, tables } from './oracle/planted.ts';
import { asks, type Callable, calls, type Definition, statements } from './oracle/probes.ts';

const SHARE = process.env.BANKHOUSE_ORACLE === 'all' ? 1 : 8;

let planted: Planted;
let functions: Callable[];
let definitions: Definition[];
let sql: pg.Client;

beforeAll(async () => {
  planted = await plant();
  await readCatalog();
  sql = new pg.Client({ connectionString: planted.own.url });
  await sql.connect();
  await sql.query('set statement_timeout = 0');
});
afterAll(async () => {
  await sql?.end();
  await planted?.stop();
});

function readCatalog(): Promise<void> {
  return withClient(planted.postgres.superuserUrl, async (catalog) => {
    ({ rows: functions } = await catalog.query<Callable>(
      `select format('%s.%s', n.nspname, p.proname) as name,
              coalesce((select json_agg(json_build_object('name', p.proargnames[i], 'type', format_type(t, null)) order by i)
                 from unnest(p.proargtypes::oid[]) with ordinality a (t, i)), '[]') as args
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where has_function_privilege($1, p.oid, 'execute') and has_schema_privilege($1, n.oid, 'usage')
          and n.nspname not in ('pg_catalog', 'information_schema') order by 1`,
      [planted.own.role],
    ));
    const { rows } = await catalog.query<{ definition: Definition }>(
      `select d || jsonb_build_object('fields', (
                select jsonb_object_agg(f.key, f.value || jsonb_build_object('operators', bank.operators_of(f.value ->> 'type')))
                  from jsonb_each(d -> 'fields') f)) as definition
         from (select bank.definition_of(k) as d
                 from unnest(array['note', 'task', 'comment', 'chat', 'chat_message', 'recording']) k) x`,
    );
    definitions = rows.map(({ definition }) => definition);
  });
}

const NONE = () => '';
const FOR_ANOTHER_VAULT = () => planted.own.seal({ vaults: [OPEN_VAULT], scopes: ['mcp:read', 'mcp:write'] });

type Look = (guess: string) => Promise<Observation>;

/** Looks with wrong guesses before and after, so that what comes of having looked before differs between them. */
async function ask(guesses: Guesses, see: Look): Promise<string[]> {
  const [first, second] = guesses.wrong;
  const wrong: Observation[] = [await see(first), await see(second)];
  const right = [await see(guesses.right)];
  if (told(right, wrong).length === 0) return [];
  // Again, to be sure: chance does not come three times.
  for (let turn = 0; turn < 2; turn++) {
    wrong.push(await see(first));
    right.push(await see(guesses.right));
    wrong.push(await see(second));
  }
  const show = (one: Observation | undefined, name: string) => one?.[name]?.slice(0, 500);
  return told(right, wrong).map(
    (name) => `${name}: right ${show(right.at(-1), name)} — wrong ${show(wrong.at(-1), name)}`,
  );
}

const chosen = (place: Secret['place'], relation?: string) =>
  planted.secrets.filter(
    (secret) => secret.place === place && (relation === undefined || secret.relation === relation),
  );

async function oracles(sealed: () => string, secrets: readonly Secret[], share: number): Promise<string[]> {
  const found: string[] = [];
  const asked = new Set<string>();
  for (const [n, secret] of secrets.entries()) {
    for (const guesses of guessesOf(secret)) {
      const some = calls(functions, definitions, secret, guesses, planted).filter(
        (_, place) => (place + n) % share === 0,
      );
      for (const probe of [...some, ...asks(definitions, secret, guesses, planted)]) {
        if (asked.has(probe.sql(guesses.right))) continue;
        asked.add(probe.sql(guesses.right));
        const assertion = sealed();
        for (const difference of await ask(guesses, (guess) => observe(sql, assertion, probe, guess))) {
          found.push(`${secret.relation}.${secret.column} of ${secret.place} is told by ${probe.name}, ${difference}`);
        }
      }
    }
  }
  return found;
}

it('there is a secret of every table', async () => {
  await withClient(planted.postgres.superuserUrl, async (catalog) => {
    const known = new Set(planted.secrets.map(({ relation }) => relation));
    expect((await tables(catalog)).map(({ name }) => name).filter((name) => !known.has(name))).toEqual([]);
  });
});

it('D1: a statement on a table tells nothing about any column of it', async () => {
  const found: string[] = [];
  const columns = new Map(planted.secrets.map((secret) => [`${secret.relation}.${secret.column}`, secret]));
  for (const [name, secret] of columns) {
    const [guesses = { shape: 'text' as const, right: secret.value, wrong: ['x', 'y'] as const }] = guessesOf(secret);
    for (const probe of statements(secret)) {
      for (const difference of await ask(guesses, (guess) => observe(sql, FOR_ANOTHER_VAULT(), probe, guess))) {
        found.push(`${name} is told by ${probe.name}, ${difference}`);
      }
    }
  }
  expect(found).toEqual([]);
}, 600_000);

describe.each([
  ['without an assertion', NONE, 4 * SHARE],
  ['with one for another vault', FOR_ANOTHER_VAULT, SHARE],
] as const)('%s', (_name, sealed, share) => {
  it.each(['another bank', 'a hidden vault'] as const)(
    'D1: a call tells nothing about what is in %s',
    async (place) => {
      expect(await oracles(sealed, chosen(place), share)).toEqual([]);
    },
    1_800_000,
  );
});

it('D2: how frequent a word, tag or id is elsewhere shows nowhere', async () => {
  const frequent = await withClient(planted.postgres.superuserUrl, async (catalog) => {
    const { rows } = await catalog.query<{ word: string; tag: string }>(
      `select distinct split_part(title, ' ', 1) as word, tags[1] as tag from bank.notes where created_by = 'seed' and vault_id <> $1`,
      [OPEN_VAULT],
    );
    return rows;
  });
  expect(frequent.length).toBeGreaterThan(0);
  const found: string[] = [];
  for (const { word, tag } of frequent) {
    for (const [column, value] of [
      ['title', word],
      ['tags', tag],
    ] as const) {
      const secret: Secret = { relation: 'notes', column, type: 'text', place: 'another bank', value };
      for (const guesses of guessesOf(secret)) {
        for (const probe of [
          ...calls(functions, definitions, secret, guesses, planted),
          ...asks(definitions, secret, guesses, planted),
        ]) {
          for (const difference of await ask(guesses, (guess) => observe(sql, FOR_ANOTHER_VAULT(), probe, guess))) {
            found.push(`${value} is told by ${probe.name}, ${difference}`);
          }
        }
      }
    }
  }
  expect(found).toEqual([]);
}, 600_000);

it('D1: what the server says of parsing and planning a call tells nothing', async () => {
  const found: string[] = [];
  for (const secret of [...chosen('a hidden vault', 'notes'), ...chosen('another bank', 'fathom_calls')]) {
    for (const guesses of guessesOf(secret)) {
      for (const probe of asks(definitions, secret, guesses, planted).filter((_, place) => place % 7 === 0)) {
        for (const difference of await ask(guesses, (guess) =>
          observeNotices(sql, FOR_ANOTHER_VAULT(), probe, guess),
        )) {
          found.push(`${secret.relation}.${secret.column} is told by ${probe.name}, ${difference}`);
        }
      }
    }
  }
  expect(found).toEqual([]);
}, 600_000);

/** Everything that anybody may read or call without a word: views of statistics, activity, locks, roles, settings, privileges. */
it('D8: no view and no function of Postgres holds anything that is secret', async () => {
  const words = [
    OTHER,
    HIDDEN_VAULT,
    ...planted.secrets.flatMap((secret) =>
      guessesOf(secret)
        .filter(({ shape }) => shape === 'text')
        .map(({ right }) => right),
    ),
  ];
  const unique = [...new Set(words)];
  const places = await withClient(planted.postgres.superuserUrl, async (catalog) => {
    const { rows } = await catalog.query<{ text: string }>(
      `select format('select t::text as said from %s t', c.oid::regclass) as text
         from pg_class c join pg_namespace n on n.oid = c.relnamespace
        where c.relkind in ('r', 'v', 'm') and has_table_privilege($1, c.oid, 'select') and has_schema_privilege($1, n.oid, 'usage')
       union all
       select format('select f::text as said from %I.%I() f', n.nspname, p.proname)
         from pg_proc p join pg_namespace n on n.oid = p.pronamespace
        where n.nspname = 'pg_catalog' and p.pronargs = 0 and p.prokind = 'f' and has_function_privilege($1, p.oid, 'execute')
          and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype, 'internal'::regtype)
          and p.proname !~ '_(in|out|recv|send)$|^pg_notification_queue|^pg_export_snapshot|^pg_advisory'`,
      [planted.own.role],
    );
    return rows.map(({ text }) => text);
  });
  expect(places.length).toBeGreaterThan(150);
  const found: string[] = [];
  // Somebody else is at work meanwhile, with a lock, a listener, a prepared statement and a cursor.
  await withClient(planted.postgres.superuserUrl, async (busy) => {
    await busy.query(`begin; set local application_name = 'x'; set role bankhouse_data`);
    await busy.query(
      `declare c cursor for select from bank.notes where title = '${planted.secrets[0]?.value.replaceAll("'", '')}'`,
    );
    await busy.query(`listen ${OTHER}x; select pg_advisory_xact_lock(7)`);
    for (const text of places) {
      const { rows } = await sql.query<{ said: string }>(text).catch(() => ({ rows: [] }));
      for (const { said } of rows) {
        const secret = unique.find((word) => said?.includes(word));
        if (secret !== undefined) found.push(`${text}: ${said.slice(0, 200)}`);
      }
    }
    await busy.query('rollback');
  });
  expect(found).toEqual([]);
}, 120_000);

it('D8: roles and sessions name no tenant', async () => {
  const { rows } = await sql.query<{ name: string }>(
    `select rolname as name from pg_roles union select application_name from pg_stat_activity union select datname from pg_database`,
  );
  expect(rows.filter(({ name }) => name?.includes(OTHER) || name?.includes('acme'))).toEqual([]);
});

describe('the test sees a hole where there is one:', () => {
  const HOLES: [string, string, string, Secret['place'], string, string?][] = [
    [
      'a column that is granted, and a policy for it that forgets the bank',
      `grant usage on schema bank to bankhouse_bank; grant select (title) on bank.notes to bankhouse_bank;
       create policy seeded on bank.notes for select to bankhouse_bank using (not pinned)`,
      `revoke usage on schema bank from bankhouse_bank; revoke select (title) on bank.notes from bankhouse_bank;
       drop policy seeded on bank.notes`,
      'another bank',
      'notes',
      'statement',
    ],
    [
      'a function that forgets the bank',
      `create function api.has_title(p_title text) returns boolean language plpgsql stable security definer set search_path = pg_catalog
         set client_min_messages = warning as $$begin return exists (select from bank.notes where title = p_title); end$$;
       alter function api.has_title(text) owner to bankhouse_data; grant execute on function api.has_title(text) to bankhouse_bank`,
      'drop function api.has_title(text)',
      'another bank',
      'notes',
    ],
    [
      'a function that looks before it asks whose it is',
      `create function api.peek(p_title text) returns boolean language plpgsql stable security definer set search_path = pg_catalog
         set client_min_messages = warning as $$
       begin
         if exists (select from bank.notes where title = p_title) then perform count(*) from bank.tasks; end if;
         return false;
       end$$;
       alter function api.peek(text) owner to bankhouse_data; grant execute on function api.peek(text) to bankhouse_bank`,
      'drop function api.peek(text)',
      'a hidden vault',
      'notes',
    ],
    [
      'an index that finds rows without regard to their vault',
      'drop index bank.notes_changed; create index notes_changed on bank.notes (bank_id, updated_at desc, id desc)',
      'drop index bank.notes_changed; create index notes_changed on bank.notes (bank_id, updated_at desc, id desc, vault_id)',
      'a hidden vault',
      'notes',
    ],
  ];
  it.each(HOLES)(
    '%s',
    async (_name, make, mend, place, relation, kind) => {
      await withClient(planted.postgres.superuserUrl, (catalog) => catalog.query(make));
      try {
        await readCatalog();
        const secrets = chosen(place, relation).filter(({ column }) => /title|updated_at/.test(column));
        const found: string[] = [];
        if (kind === 'statement') {
          for (const secret of secrets) {
            for (const guesses of guessesOf(secret)) {
              for (const probe of statements(secret)) {
                found.push(...(await ask(guesses, (guess) => observe(sql, NONE(), probe, guess))));
              }
            }
          }
        } else {
          found.push(...(await oracles(FOR_ANOTHER_VAULT, secrets, 1)));
        }
        expect(found).not.toEqual([]);
      } finally {
        await withClient(planted.postgres.superuserUrl, (catalog) => catalog.query(mend));
        await readCatalog();
      }
    },
    600_000,
  );
});
