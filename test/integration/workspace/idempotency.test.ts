/** Keys of creations (R3.1): a call that is sent again makes nothing twice. */
import { randomUUID } from 'node:crypto';
import type { Client } from '@modelcontextprotocol/client';
import { describe, expect, it } from 'vitest';
import { withClient } from '../../harness/postgres.ts';
import { shared } from '../../harness/shared.ts';
import { callError } from '../server/support.ts';
import { type Args, checked, idsOfAllPages, KINDS, startWorkspace, unique, type Workspace, writer } from './support.ts';

let { postgres, running, client, parents } = {} as Workspace;
shared(startWorkspace, (workspace) => {
  ({ postgres, running, client, parents } = workspace);
});

/** As the superuser, since no role of ours may do this. */
const atDatabase = (text: string, values: unknown[]) =>
  withClient(postgres.superuserUrl, async (superuser) => (await superuser.query(text, values)).rows);
const makeOld = (key: string) =>
  atDatabase("update bank.idempotency_keys set created_at = now() - interval '25 hours' where key = $1", [key]);

const makeNote = (args: Args, as: Client = client) => checked(as, 'create_note', args);

describe.each(KINDS)('a $name that is made again with its key', (kind) => {
  it('is the one that was made, as it is now', async () => {
    const args = { ...kind.most(parents), idempotencyKey: randomUUID() };
    const made = await checked(client, `create_${kind.name}`, args);
    expect(made).toMatchObject({ replayed: false, version: 1 });
    await checked(client, `patch_${kind.name}`, { id: made.id, version: 1, ...kind.part });
    expect(await checked(client, `create_${kind.name}`, args)).toMatchObject({
      id: made.id,
      replayed: true,
      version: 2,
      text: expect.stringContaining('Already made'),
    });
  });

  it('is one row, however many calls come at once', async () => {
    const args = { ...kind.least(parents), idempotencyKey: randomUUID() };
    const before = await idsOfAllPages(client, kind.plural, { limit: 100 });
    const answers = await Promise.all(Array.from({ length: 12 }, () => checked(client, `create_${kind.name}`, args)));
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers.filter(({ replayed }) => replayed === false)).toHaveLength(1);
    expect(await idsOfAllPages(client, kind.plural, { limit: 100 })).toHaveLength(before.length + 1);
  });
});

describe('a key', () => {
  it('with other arguments, or for another entity, is a conflict', async () => {
    const idempotencyKey = randomUUID();
    await makeNote({ title: 'One', idempotencyKey });
    for (const [tool, args] of [
      ['create_note', { title: 'Two' }],
      ['create_note', { title: 'One', tags: ['more'] }],
      ['create_chat', { title: 'One' }],
    ] as const) {
      expect(await callError(client, tool, { ...args, idempotencyKey })).toMatchObject({
        code: 'conflict',
        field: 'idempotencyKey',
        retryable: false,
        text: expect.stringContaining('Send another key'),
      });
    }
  });

  it('does not mind the order of arguments, nor a default that is spelt out', async () => {
    const idempotencyKey = randomUUID();
    const { id } = await makeNote({ title: 'One', body: 'x', idempotencyKey });
    expect(await makeNote({ idempotencyKey, pinned: false, body: 'x', title: 'One' })).toMatchObject({
      id,
      replayed: true,
    });
  });

  it("is its caller's own", async () => {
    const idempotencyKey = randomUUID();
    const { id } = await makeNote({ title: 'One', idempotencyKey });
    await using other = await writer(running, null, { sub: 'somebody else' });
    const made = await makeNote({ title: 'Two', idempotencyKey }, other);
    expect(made.replayed).toBe(false);
    expect(made.id).not.toBe(id);
  });

  it('of the same sub of another issuer is another one (D10)', async () => {
    const args = { title: 'One', idempotencyKey: randomUUID() };
    const { id } = await makeNote(args);
    await using other = await writer(running, null, { iss: 'https://other.test' });
    const made = await makeNote(args, other);
    expect(made.replayed).toBe(false);
    expect(made.id).not.toBe(id);
  });

  it('of a creation that failed is free', async () => {
    const idempotencyKey = randomUUID();
    await callError(client, 'create_note', { title: 'x', vaultId: 'nowhere', idempotencyKey });
    expect(await makeNote({ title: 'y', idempotencyKey })).toMatchObject({ replayed: false });
  });

  it('of something that was deleted does not make it again', async () => {
    const args = { title: unique(), idempotencyKey: randomUUID() };
    const { id } = await makeNote(args);
    await checked(client, 'delete_note', { id });
    const error = await callError(client, 'create_note', args);
    expect(error).toMatchObject({ code: 'conflict', text: expect.stringContaining('no longer there') });
  });

  it('tells nothing of what a token of fewer vaults may not see', async () => {
    const args = { title: 'x', vaultId: 'sales', idempotencyKey: randomUUID() };
    const { id } = await makeNote(args);
    await checked(client, 'patch_note', { id, version: 1, vaultId: 'support' });
    await using narrow = await writer(running, ['sales']);
    const error = await callError(narrow, 'create_note', args);
    expect(error).toMatchObject({ code: 'conflict' });
    expect(error.text).not.toContain(id);
  });

  it('is free again after 24 hours', async () => {
    const args = { title: 'x', idempotencyKey: randomUUID() };
    const first = await makeNote(args);
    await makeOld(args.idempotencyKey);
    const answers = await Promise.all([makeNote(args), makeNote(args), makeNote(args)]);
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(answers[0]?.id).not.toBe(first.id);
    expect(answers.filter(({ replayed }) => replayed === false)).toHaveLength(1);
  });

  it("that is old is swept out by another's", async () => {
    const key = randomUUID();
    await using other = await writer(running, null, { sub: 'never seen again' });
    await makeNote({ title: 'x', idempotencyKey: key }, other);
    await makeOld(key);
    await makeNote({ title: 'x', idempotencyKey: randomUUID() });
    expect(await atDatabase('select from bank.idempotency_keys where key = $1', [key])).toEqual([]);
  });
});
