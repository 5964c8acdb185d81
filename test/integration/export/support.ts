/** Banks with something in every table, and the command line as a user has it. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { runCli } from '../../../client/src/cli/run.ts';
import { loadRecordings, numbered } from '../../../client/src/load/index.ts';
import { generateCalls } from '../../../client/src/samples/index.ts';
import { createBank, startPostgres, type TestBank, type TestPostgres } from '../../harness/postgres.ts';
import { asData, VAULTS } from '../database/support.ts';

export interface Fixture extends AsyncDisposable {
  postgres: TestPostgres;
  /** A path in a folder that is removed at the end. */
  path(name: string): string;
  read(name: string): string;
  write(name: string, content: string | Buffer): string;
  bank(id: string): Promise<TestBank>;
  cli(...args: string[]): Promise<Ran>;
  /** The same, where anything but success is a mistake of the test. */
  run(...args: string[]): Promise<Ran>;
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

export async function startFixture(): Promise<Fixture> {
  const folder = mkdtempSync(join(tmpdir(), 'bankhouse-export-'));
  const postgres = await startPostgres().catch((error: unknown) => {
    rmSync(folder, { recursive: true });
    throw error;
  });
  const path = (name: string) => join(folder, name);
  const cli = async (...args: string[]): Promise<Ran> => {
    let stdout = '';
    let stderr = '';
    const code = await runCli(args, {
      env: { DATABASE_URL: postgres.ownerUrl },
      cwd: folder,
      out: (text) => {
        stdout += text;
      },
      err: (text) => {
        stderr += text;
      },
    });
    return { code, stdout, stderr };
  };
  return {
    postgres,
    path,
    read: (name) => readFileSync(path(name), 'utf8'),
    write(name, content) {
      writeFileSync(path(name), content);
      return path(name);
    },
    bank: (id) => createBank(postgres, id, { displayName: `Bank "${id}" – ü`, vaults: VAULTS }),
    cli,
    async run(...args) {
      const ran = await cli(...args);
      if (ran.code !== 0) throw new Error(`bankhouse ${args.join(' ')}: ${ran.stderr}`);
      return ran;
    },
    async [Symbol.asyncDispose]() {
      await postgres.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

export async function addCalls(postgres: TestPostgres, bank: string, count: number, seed = 7): Promise<void> {
  const lines = numbered(generateCalls({ bank, seed, count, vaults: VAULTS.map(({ id }) => id) }));
  await loadRecordings({ databaseUrl: postgres.ownerUrl, bank, lines });
}

/** Values that a careless copy changes: what JSON, JavaScript and CSV each have trouble with. */
export const TEXTS = [
  'a',
  '',
  'ä ß 日本 🙂',
  '\\',
  '\\n',
  '"',
  "'",
  '\n\t\r',
  '\u0001\u2028\ufeff',
  '{"a":1}',
  '\\.',
  '$1',
  '</b>',
];

export interface Entities {
  notes: number;
  chats: number;
  messages: number;
}

/** Rows of the five entities, with every column set somewhere and left out somewhere; messages answer earlier and later ones. */
export function addEntities(postgres: TestPostgres, bank: string, amount: Entities, seed = 0.5): Promise<void> {
  return asData(postgres, async (sql) => {
    await sql.query('select setseed($1)', [seed]);
    await sql.query('set constraints all deferred');
    const common = `$1, (array['hr', 'sales', 'support', null])[1 + n % 4], 1 + n % 7,
      '2026-01-01T00:00:00.123456Z'::timestamptz + n * interval '1 hour 1 microsecond', 'ann@' || n,
      '2026-02-01T00:00:00.000001Z'::timestamptz + n * interval '1 minute', 'böb',
      case when n % 5 = 0 then '2026-03-01T12:00:00.5Z'::timestamptz end`;
    const columns = 'bank_id, vault_id, version, created_at, created_by, updated_at, updated_by, archived_at';
    const text = `($2::text[])[1 + (random() * (cardinality($2::text[]) - 1))::int]`;
    await sql.query(
      `insert into bank.notes (${columns}, title, body, pinned, tags, recording_id, language)
       select ${common}, 't' || ${text}, ${text}, n % 2 = 0, array['g' || ${text}, 'x'], case when n % 3 = 0 then 'fathom-' || n end,
              (array['de', null, 'en-GB'])[1 + n % 3] from generate_series(1, $3::int) n`,
      [bank, TEXTS, amount.notes],
    );
    await sql.query(
      `insert into bank.tasks (${columns}, status, title, description, priority, due_at, completed_at)
       select ${common}, case when n % 2 = 0 then 'done' else 'open' end, 't' || ${text}, ${text}, 'urgent',
              case n % 4 when 0 then 'infinity'::timestamptz when 1 then '0044-03-15 BC'::timestamptz when 2 then '2026-03-29 01:30:00.000001+00' end,
              case when n % 2 = 0 then now() end from generate_series(1, $3::int) n`,
      [bank, TEXTS, amount.notes],
    );
    await sql.query(
      `insert into bank.chats (${columns}, title, participants) select ${common}, 't' || ${text}, array['p' || ${text}]
         from generate_series(1, $3::int) n`,
      [bank, TEXTS, amount.chats],
    );
    await addMessages(sql, bank, amount.messages, columns, common);
    await sql.query(
      `insert into bank.comments (${columns}, parent_type, parent_id, body)
       select ${common}, 'note', (select id::text from bank.notes where bank_id = $1 order by id offset n % $3::int limit 1), 'c' || ${text}
         from generate_series(1, $3::int) n`,
      [bank, TEXTS, amount.notes],
    );
  });
}

async function addMessages(sql: pg.Client, bank: string, amount: number, columns: string, common: string) {
  await sql.query(
    `insert into bank.chat_messages (${columns}, chat_id, role, body)
     select ${common}, (select id from bank.chats where bank_id = $1 order by id offset n % 3 limit 1), 'assistant', 'b' || n
       from generate_series(1, $2::int) n`,
    [bank, amount],
  );
  await sql.query(
    `update bank.chat_messages m set reply_to = o.id
       from (select id, chat_id, lead(id) over w as after, lag(id) over w as before from bank.chat_messages
              where bank_id = $1 window w as (partition by chat_id order by id)) n
       join bank.chat_messages o on o.bank_id = $1
        and o.id = case when get_byte(uuid_send(n.id), 0) % 2 = 0 then n.after else n.before end
      where m.bank_id = $1 and m.id = n.id`,
    [bank],
  );
}

/** The file without what may differ: the bank and the time of its first line. */
export function content(file: string): string {
  return file.slice(file.indexOf('\n') + 1);
}
