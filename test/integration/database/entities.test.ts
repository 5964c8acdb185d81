/** R3.1, R1.6: what the database itself keeps right about notes, tasks, comments, chats and messages. */
import type pg from 'pg';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  createBank,
  enter,
  startPostgres,
  type TestBank,
  type TestPostgres,
  withClient,
} from '../../harness/postgres.ts';
import { addLegacy, addRecording, asData, VAULTS } from './support.ts';

let postgres: TestPostgres;
let acme: TestBank;
beforeAll(async () => {
  postgres = await startPostgres();
  acme = await createBank(postgres, 'acme', { vaults: VAULTS });
});
afterAll(() => postgres?.stop());

interface Who {
  iss?: string;
  sub?: string;
  vaults?: string[] | null;
  scopes?: string[];
}

/** One transaction under the policies of a caller that may write, committed. */
async function as<T>(who: Who, use: (sql: pg.Client) => Promise<T>): Promise<T> {
  return withClient(await acme.underPolicies(), async (sql) => {
    await begin(sql, who);
    const result = await use(sql);
    await sql.query('commit');
    return result;
  });
}

async function begin(sql: pg.Client, who: Who): Promise<void> {
  await sql.query('begin read write');
  await enter(sql, acme.seal({ scopes: ['mcp:read', 'mcp:write'], ...who }));
}

async function one(sql: pg.Client, text: string, values: unknown[] = []): Promise<Record<string, unknown>> {
  const { rows } = await sql.query(text, values);
  if (rows.length !== 1) throw new Error(`${rows.length} rows: ${text}`);
  return rows[0];
}

const addNote = (sql: pg.Client, vault: string | null, title = 'a note') =>
  one(sql, 'insert into bank.notes (bank_id, vault_id, title) values (bank.me(), $1, $2) returning *', [vault, title]);
const addChat = (sql: pg.Client, vault: string | null) =>
  one(sql, "insert into bank.chats (bank_id, vault_id, title) values (bank.me(), $1, 'a chat') returning *", [vault]);
const addMessage = (sql: pg.Client, chat: unknown, body = 'hello') =>
  one(sql, 'insert into bank.chat_messages (bank_id, chat_id, body) values (bank.me(), $1, $2) returning *', [
    chat,
    body,
  ]);
const addComment = (sql: pg.Client, type: string, parent: unknown, vault: string | null = null) =>
  one(
    sql,
    "insert into bank.comments (bank_id, parent_type, parent_id, body, vault_id) values (bank.me(), $1, $2, 'so?', $3) returning *",
    [type, parent, vault],
  );
const vaultOf = (sql: pg.Client, table: string, id: unknown) =>
  one(sql, `select vault_id from bank.${table} where id = $1`, [id]).then((row) => row.vault_id);

describe('who wrote', () => {
  it('is what the assertion says, whatever the statement claims', async () => {
    const row = await as({ sub: 'ann' }, (sql) =>
      one(
        sql,
        `insert into bank.notes (bank_id, title, created_by, updated_by, version, created_at) values (bank.me(), 't', 'eve', 'eve', 99, '2001-01-01') returning created_by, updated_by, version, created_at > '2020-01-01' as now`,
      ),
    );
    const ann = 'https://issuer.test ann';
    expect(row).toEqual({ created_by: ann, updated_by: ann, version: 1, now: true });
  });

  it('changes with every update, while who made it stays', async () => {
    const { id } = await as({ sub: 'ann' }, (sql) => addNote(sql, 'sales'));
    const row = await as({ sub: 'bob' }, (sql) =>
      one(
        sql,
        `update bank.notes set title = 'u' where id = $1
         returning created_by, updated_by, version, updated_at > created_at as later`,
        [id],
      ),
    );
    expect(row).toEqual({
      created_by: 'https://issuer.test ann',
      updated_by: 'https://issuer.test bob',
      version: 2,
      later: true,
    });
  });

  it.each(['id = gen_random_uuid()', "bank_id = 'other'", 'version = 50', "created_by = 'eve'", 'updated_at = now()'])(
    'can not be claimed by an update: %s',
    async (claim) => {
      const { id } = await as({}, (sql) => addNote(sql, 'sales'));
      const update = as({}, (sql) => sql.query(`update bank.notes set ${claim} where id = $1`, [id]));
      await expect(update).rejects.toMatchObject({ code: '42501' });
    },
  );
});

describe('a caller without mcp:write', () => {
  it.each<[string, string]>([
    ['inserts', "insert into bank.notes (bank_id, vault_id, title) values (bank.me(), 'sales', 'no')"],
    ['updates', "update bank.notes set title = 'no' where id = $1 returning 1"],
    ['deletes', 'delete from bank.notes where id = $1'],
  ])('%s nothing, even in a transaction that may write', async (verb, text) => {
    const { id } = await as({}, (sql) => addNote(sql, 'sales'));
    const attempt = as({ scopes: ['mcp:read'] }, (sql) => sql.query(text, text.includes('$1') ? [id] : []));
    if (verb === 'inserts') await expect(attempt).rejects.toThrow('row-level security');
    else expect((await attempt).rowCount).toBe(0);
  });

  it('sees nothing with a handshake alone', async () => {
    const seen = await as({ scopes: ['mcp:verify'] }, (sql) => sql.query('select from bank.notes'));
    expect(seen.rowCount).toBe(0);
  });
});

describe('vaults', () => {
  it.each<[string, string[] | null, string | null, boolean]>([
    ['a caller of sales writes into sales', ['sales'], 'sales', true],
    ['a caller of sales does not write into support', ['sales'], 'support', false],
    ['a caller of sales does not write into no vault', ['sales'], null, false],
    ['a caller of no vault writes nowhere', [], 'sales', false],
    ['a caller of all vaults writes into no vault', null, null, true],
  ])('%s', async (_sentence, vaults, vault, allowed) => {
    const attempt = as({ vaults }, (sql) => addNote(sql, vault));
    if (allowed) await expect(attempt).resolves.toMatchObject({ vault_id: vault });
    else await expect(attempt).rejects.toThrow('row-level security');
  });

  it('a row is moved only by who may see both', async () => {
    const { id } = await as({}, (sql) => addNote(sql, 'sales'));
    const move = (vaults: string[]) =>
      as({ vaults }, (sql) => sql.query("update bank.notes set vault_id = 'support' where id = $1", [id]));
    await expect(move(['sales'])).rejects.toThrow('row-level security');
    expect((await move(['support'])).rowCount).toBe(0);
    expect((await move(['sales', 'support'])).rowCount).toBe(1);
  });
});

describe('a message', () => {
  it('is in the vault of its chat', async () => {
    const { vault_id } = await as({ vaults: ['sales'] }, async (sql) =>
      addMessage(sql, (await addChat(sql, 'sales')).id),
    );
    expect(vault_id).toBe('sales');
  });

  it('moves with its chat, and so does a comment on it', async () => {
    const { chat, message, comment } = await as({}, async (sql) => {
      const { id } = await addChat(sql, 'sales');
      return { chat: id, message: (await addMessage(sql, id)).id, comment: (await addComment(sql, 'chat', id)).id };
    });
    await as({}, (sql) => sql.query("update bank.chats set vault_id = 'support' where id = $1", [chat]));
    await as({ vaults: ['support'] }, async (sql) => {
      expect(await vaultOf(sql, 'chat_messages', message)).toBe('support');
      expect(await vaultOf(sql, 'comments', comment)).toBe('support');
    });
  });

  it('that is being written moves with a chat that is being moved', async () => {
    const { id: chat } = await as({}, (sql) => addChat(sql, 'sales'));
    await withClient(await acme.underPolicies(), async (writer) => {
      await begin(writer, {});
      await addMessage(writer, chat, 'in time');
      const moved = as({}, (sql) => sql.query("update bank.chats set vault_id = 'support' where id = $1", [chat]));
      await writer.query('commit');
      await moved;
    });
    expect(
      await as({}, (sql) => one(sql, 'select vault_id from bank.chat_messages where chat_id = $1', [chat])),
    ).toEqual({
      vault_id: 'support',
    });
  });

  it.each<[string, string, string]>([
    ['of a chat that the caller does not see', 'support', 'there is no such chat'],
    ['of a chat that is closed', 'sales', 'the chat is closed'],
  ])('%s is refused', async (_sentence, vault, message) => {
    const { id } = await as({}, async (sql) => {
      const chat = await addChat(sql, vault);
      return one(sql, "update bank.chats set status = 'closed' where id = $1 returning id", [chat.id]);
    });
    await expect(as({ vaults: ['sales'] }, (sql) => addMessage(sql, id))).rejects.toThrow(message);
  });

  it('goes with its chat, and an answer to a deleted message stays', async () => {
    const { chat, first, answer } = await as({}, async (sql) => {
      const { id } = await addChat(sql, 'sales');
      const { id: message } = await addMessage(sql, id);
      const reply = await one(
        sql,
        "insert into bank.chat_messages (bank_id, chat_id, body, reply_to) values (bank.me(), $1, 'yes', $2) returning id",
        [id, message],
      );
      return { chat: id, first: message, answer: reply.id };
    });
    await as({}, (sql) => sql.query('delete from bank.chat_messages where id = $1', [first]));
    expect(await as({}, (sql) => one(sql, 'select reply_to from bank.chat_messages where id = $1', [answer]))).toEqual({
      reply_to: null,
    });
    await as({}, (sql) => sql.query('delete from bank.chats where id = $1', [chat]));
    expect((await as({}, (sql) => sql.query('select from bank.chat_messages where id = $1', [answer]))).rowCount).toBe(
      0,
    );
  });
});

describe('a comment', () => {
  it.each([
    ['note', 'notes'],
    ['task', 'tasks'],
    ['chat', 'chats'],
  ])('on a %s is in its vault, and goes with it', async (type, table) => {
    const { parent, comment } = await as({}, async (sql) => {
      const text = `insert into bank.${table} (bank_id, vault_id, title) values (bank.me(), 'sales', 't') returning id`;
      const made = await one(sql, text);
      return { parent: made.id, comment: await addComment(sql, type, made.id) };
    });
    expect(comment.vault_id).toBe('sales');
    await as({}, (sql) => sql.query(`delete from bank.${table} where id = $1`, [parent]));
    expect((await as({}, (sql) => sql.query('select from bank.comments where id = $1', [comment.id]))).rowCount).toBe(
      0,
    );
  });

  it.each<[string, string, string, string | null, string[] | null, RegExp]>([
    ['on a note of another vault', 'note', '', null, ['sales'], /no such parent/],
    ['in another vault than its note', 'note', '', 'sales', null, /in the vault of its parent/],
    ['on what has no id', 'task', 'x', null, null, /no such parent/],
    ['on a recording that is not there', 'recording', 'fathom-999', null, null, /no such recording/],
  ])('%s is refused', async (_sentence, type, parent, vault, vaults, message) => {
    const { id } = await as({}, (sql) => addNote(sql, 'support'));
    await expect(as({ vaults }, (sql) => addComment(sql, type, parent || id, vault))).rejects.toThrow(message);
  });

  it('on a recording is in its vault; where there are several, the caller names one', async () => {
    const [single, several] = await asData(postgres, async (sql) => [
      await addRecording(sql, 'acme', { title: 'one', vaults: ['sales'] }),
      await addRecording(sql, 'acme', { title: 'two', vaults: ['sales', 'support'] }),
    ]);
    expect((await as({}, (sql) => addComment(sql, 'recording', single))).vault_id).toBe('sales');
    await expect(as({}, (sql) => addComment(sql, 'recording', several))).rejects.toThrow('sales, support: name one');
    expect((await as({}, (sql) => addComment(sql, 'recording', several, 'support'))).vault_id).toBe('support');
    expect((await as({ vaults: ['sales'] }, (sql) => addComment(sql, 'recording', several))).vault_id).toBe('sales');
  });

  it('does not stay in a vault that its recording has left', async () => {
    const recording = await asData(postgres, (sql) => addRecording(sql, 'acme', { title: 'moves', vaults: ['sales'] }));
    const { id } = await as({}, (sql) => addComment(sql, 'recording', recording));
    await asData(postgres, async (sql) => {
      await sql.query("insert into bank.vault_entries (bank_id, vault_id, recording_id) values ('acme', 'hr', $1)", [
        recording,
      ]);
      await sql.query("delete from bank.vault_entries where recording_id = $1 and vault_id = 'sales'", [recording]);
    });
    expect(await as({}, (sql) => vaultOf(sql, 'comments', id))).toBe('hr');
  });
});

describe('what names a recording', () => {
  it('must see it', async () => {
    const hidden = await asData(postgres, (sql) => addRecording(sql, 'acme', { title: 'h', vaults: ['hr'] }));
    const insert =
      "insert into bank.tasks (bank_id, vault_id, title, recording_id) values (bank.me(), 'sales', 't', $1) returning recording_id";
    await expect(as({ vaults: ['sales'] }, (sql) => one(sql, insert, [hidden]))).rejects.toThrow('no such recording');
    expect(await as({}, (sql) => one(sql, insert, [hidden]))).toEqual({ recording_id: hidden });
  });

  it('follows a call that is migrated', async () => {
    await asData(postgres, (sql) => addLegacy(sql, 'acme', { id: 7001, vault: 'sales' }));
    const { note, comment } = await as({}, async (sql) => ({
      note: (
        await one(
          sql,
          "insert into bank.notes (bank_id, title, recording_id) values (bank.me(), 't', 'fathom-7001') returning id",
        )
      ).id,
      comment: (await addComment(sql, 'recording', 'fathom-7001')).id,
    }));
    const moved = await asData(postgres, (sql) =>
      addRecording(sql, 'acme', { title: 'new', vaults: ['sales'], legacyId: 7001 }),
    );
    await as({}, async (sql) => {
      expect(await one(sql, 'select recording_id from bank.notes where id = $1', [note])).toEqual({
        recording_id: moved,
      });
      expect(await one(sql, 'select parent_id from bank.comments where id = $1', [comment])).toEqual({
        parent_id: moved,
      });
      const { recording_id } = await one(
        sql,
        "insert into bank.notes (bank_id, title, recording_id) values (bank.me(), 't', 'fathom-7001') returning recording_id",
      );
      expect(recording_id).toBe(moved);
    });
  });
});

it.each<[string, string, string]>([
  ['en', 'renewals', 'renew'],
  ['de', 'Verträge', 'vertrag'],
  ['tlh', 'Qapla', 'qapla'],
])('a text in %s is read by its language', async (language, body, lexeme) => {
  const row = await as({}, (sql) =>
    one(
      sql,
      'insert into bank.notes (bank_id, title, body, language) values (bank.me(), $1, $2, $3) returning tsvector_to_array(document) as words',
      ['1', body, language],
    ),
  );
  expect(row.words).toContain(lexeme);
});
