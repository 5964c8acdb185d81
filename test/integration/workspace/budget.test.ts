/** No answer is more than a client takes, text and structured content each, and a range or a cursor goes on (T1, T2). */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { asLoader } from '../server/support.ts';
import { type Args, checked, IN_BOTH, IN_SALES, startWorkspace, type Workspace } from './support.ts';

const LIMIT = 30_000;
/** What segments are counted from. */
const FIRST = 1;
/** 100,000 characters that are twice as long as JSON, with pairs of surrogates at odd places. */
const LONG = `a${'"\n🙂'.repeat(24_999)}bcd`;

let workspace: Workspace;
let note: string;
beforeAll(async () => {
  workspace = await startWorkspace();
  note = await makeNote('Long', LONG);
  const wide = Array.from({ length: 20 }, (_, n) => `${n} ${'"'.repeat(47)}`);
  for (let n = 0; n < 100; n++) {
    const args = { title: `Wide word ${'"'.repeat(280)}${n}`, body: 'wide "word" '.repeat(100), tags: wide };
    await checked(workspace.client, 'create_note', args);
  }
  await asLoader(workspace.postgres, async (sql) => {
    await sql.query("update bank.recordings set summary = $2 where bank_id = 'acme' and id = $1", [IN_SALES, LONG]);
    await sql.query("update bank.recordings set title = $2 where bank_id = 'acme' and id = $1", [IN_BOTH, 'x']);
    await sql.query(
      `update bank.recordings set transcript = (select jsonb_agg(jsonb_build_object('start', n, 'end', n + 1, 'speaker', 'Ann',
         'text', case when n = 3 then $2 else repeat('"', 200) end) order by n) from generate_series(0, 300) n)
       where bank_id = 'acme' and id = $1`,
      [IN_SALES, LONG],
    );
  });
}, 120_000);
afterAll(() => workspace?.[Symbol.asyncDispose]());

async function makeNote(title: string, body: string): Promise<string> {
  return (await checked(workspace.client, 'create_note', { title, body })).id;
}

/** An answer that keeps to the budget both ways. */
async function bounded(tool: string, args: Args): Promise<Args & { text: string; nextCursor?: string }> {
  const answer = await checked<Args & { nextCursor?: string }>(workspace.client, tool, args);
  const { text, ...structured } = answer;
  expect(text.length).toBeLessThanOrEqual(LIMIT);
  expect(JSON.stringify(structured).length).toBeLessThanOrEqual(LIMIT);
  return answer;
}

describe('a long text comes in parts that make it whole again', () => {
  it.each<[string, string, () => string]>([
    ['get_note', 'body', () => note],
    ['get_recording', 'summary', () => IN_SALES],
  ])('of %s', async (tool, field, id) => {
    let whole = '';
    let fromCharacter: unknown = 0;
    while (fromCharacter !== undefined) {
      const part = await bounded(tool, { id: id(), fromCharacter });
      expect(String(part[field]).isWellFormed()).toBe(true);
      expect(part.text).toContain(part[field]);
      whole += part[field];
      fromCharacter = part.nextCharacter;
      if (fromCharacter !== undefined) expect(part.text).toContain(`fromCharacter ${fromCharacter}`);
    }
    expect(whole).toBe(LONG);
  });

  it('of get_transcript, a segment longer than an answer too', async () => {
    const said = new Map<number, string>();
    let cursor: string | undefined;
    do {
      const page = await bounded('get_transcript', {
        id: IN_SALES,
        limit: 500,
        ...(cursor === undefined ? {} : { cursor }),
      });
      for (const { seq, text } of page.segments as { seq: number; text: string }[]) {
        said.set(seq, `${said.get(seq) ?? ''}${text}`);
      }
      cursor = page.nextCursor;
    } while (cursor !== undefined);
    expect(said.size).toBe(301);
    expect(said.get(FIRST + 3)).toBe(LONG);
    expect(said.get(FIRST + 300)).toBe('"'.repeat(200));
  });
});

describe('pages end where an answer is full, and the cursor goes on', () => {
  it.each<[string, Args, string, number]>([
    ['list_notes', { limit: 100 }, 'notes', 102],
    ['query', { kind: 'note', limit: 200, select: ['id', 'body', 'title', 'tags'] }, 'rows', 102],
    ['search', { query: 'wide', kinds: ['note'], limit: 50 }, 'results', 100],
  ])('%s %j', async (tool, args, list, expected) => {
    const ids: unknown[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const page = await bounded(tool, { ...args, ...(cursor === undefined ? {} : { cursor }) });
      const rows = page[list] as { id: string }[];
      ids.push(...rows.map(({ id }) => id));
      for (const { id } of rows) expect(page.text).toContain(id);
      cursor = page.nextCursor;
      if (cursor !== undefined) expect(page.text).toContain(`cursor "${cursor}"`);
      pages++;
    } while (cursor !== undefined);
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.length).toBe(expected);
    expect(pages).toBeGreaterThan(1);
  });

  it('groups say that there are more', async () => {
    const groups = await bounded('query', {
      kind: 'note',
      groupBy: [{ field: 'title' }, { field: 'id' }],
      limit: 1000,
    });
    expect(groups.truncated).toBe(true);
    expect(groups.text).toMatch(/more than these/);
  });
});

it('the text of a list has what the structured content has: bodies, tags, times', async () => {
  const { text } = await bounded('list_notes', { limit: 1, sort: 'newest' });
  expect(text).toMatch(/wide "word" wide/);
  expect(text).toMatch(/tags: 0 "/);
  expect(text).toMatch(/made 20\d\d-/);
  expect(text).toMatch(/get_note gives all/);
});
