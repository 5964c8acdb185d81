import { describe, expect, it } from 'vitest';
import { outcomeUnknown, placeMovedTo, toToolError } from '../src/database/errors.ts';
import { toErrorResult } from '../src/mcp/tool-error.ts';

const failure = (code: string | undefined, message = 'relation "bank.secret_table" at character 7') =>
  Object.assign(new Error(message), code === undefined ? {} : { code });

describe('a failure of the database becomes an error that a model can act on', () => {
  it.each<[string, Error, string, boolean]>([
    ['a refused connection', failure('ECONNREFUSED'), 'database_unavailable', true],
    [
      'several refused addresses',
      Object.assign(new AggregateError([failure('ECONNREFUSED')])),
      'database_unavailable',
      true,
    ],
    ['a connection that broke', failure('ECONNRESET'), 'database_unavailable', true],
    ['a name that is not resolved', failure('EAI_AGAIN'), 'database_unavailable', true],
    ['a shutdown', failure('57P01'), 'database_unavailable', true],
    ['a server that starts', failure('57P03'), 'database_unavailable', true],
    ['too many connections', failure('53300'), 'database_unavailable', true],
    ['silence', failure(undefined, 'Query read timeout'), 'database_unavailable', true],
    [
      'no connection in time',
      failure(undefined, 'timeout exceeded when trying to connect'),
      'database_unavailable',
      true,
    ],
    ['an end without a word', failure(undefined, 'Connection terminated unexpectedly'), 'database_unavailable', true],
    ['a pooler without a server', failure('08P01', 'server login has been failing'), 'database_unavailable', true],
    [
      'a message of ours that Postgres can not read',
      Object.assign(failure('08P01'), { routine: 'exec_bind_message' }),
      'internal',
      false,
    ],
    ['a refused login', failure('28P01'), 'database_unavailable', true],
    ['a bank that is being moved', failure('BH003'), 'database_unavailable', true],
    ['the time limit', failure('57014'), 'too_slow', false],
    ['no privilege', failure('42501'), 'forbidden', false],
    ['a write in a reader', failure('25006'), 'forbidden', false],
    ['a serialization failure', failure('40001'), 'conflict', true],
    ['a deadlock', failure('40P01'), 'conflict', true],
    ['a second one of its kind', failure('23505'), 'already_exists', false],
    ['a reference to nothing', failure('23503'), 'not_found', false],
    ['a NUL in a text', failure('22021'), 'invalid_argument', false],
    ['a broken rule', failure('23514'), 'invalid_argument', false],
    ['a mistake of ours', failure('42P01'), 'internal', false],
    ['anything else', failure(undefined), 'internal', false],
  ])('%s', (_sentence, error, code, retryable) => {
    const mapped = toToolError(error);
    expect([mapped.code, mapped.retryable]).toEqual([code, retryable]);
    expect(mapped.cause).toBe(error);
    const shown = JSON.stringify(toErrorResult(mapped));
    expect(shown).not.toMatch(/secret_table|at character|at .*\.ts/);
    expect(shown).toContain(`${code}: `);
  });
});

it('a bank that is being moved says when to try again', () => {
  expect(toErrorResult(toToolError(failure('BH003')))).toMatchObject({
    _meta: { 'bankhouse.dev/error': { retryable: true, retryAfterSeconds: 2 } },
  });
});

describe('where a bank has gone', () => {
  const place = 'postgres://db.example.com:5432/bank_1';
  it.each<[string, unknown, string | undefined]>([
    ['is said by the database that it left', { ...failure('BH003'), code: 'BH003', detail: place }, place],
    ['is not said while it is only frozen', { ...failure('BH003'), code: 'BH003', detail: '' }, undefined],
    ['is not said by a database of before this release', { code: 'BH003' }, undefined],
    ['is not taken from another error', { code: '23514', detail: place }, undefined],
    ['is not taken where it is no URL', { code: 'BH003', detail: 'elsewhere' }, undefined],
  ])('%s', (_sentence, error, expected) => {
    expect(placeMovedTo(error)).toBe(expected);
  });
});

describe('a broken rule of a table says which argument was wrong', () => {
  const broken = (constraint: string, detail?: string) =>
    Object.assign(failure('23514'), { constraint, ...(detail === undefined ? {} : { detail }) });

  it.each<[string, string, string]>([
    ['recording_visible', 'not_found', 'recordingId'],
    ['notes_bank_id_vault_id_fkey', 'not_found', 'vaultId'],
    ['chat_messages_chat', 'not_found', 'chatId'],
    ['chat_messages_closed', 'conflict', 'chatId'],
    ['chat_messages_reply_to', 'not_found', 'replyTo'],
    ['chat_messages_redacted', 'conflict', 'body'],
    ['comments_parent', 'not_found', 'parentId'],
    ['comments_stay', 'invalid_argument', 'parentId'],
  ])('%s', (constraint, code, field) => {
    const mapped = toToolError(broken(constraint));
    expect(mapped).toMatchObject({ code, field, retryable: false });
    expect(JSON.stringify(toErrorResult(mapped))).not.toMatch(/secret_table|at character|_fkey/);
  });

  it('names the vaults that a comment can be in, and none where the database named none', () => {
    expect(toToolError(broken('comments_vault_ambiguous', '["a", "b"]')).message).toContain('a, b');
    expect(toToolError(broken('comments_vault_ambiguous', 'select 1'))).toMatchObject({
      code: 'invalid_argument',
      message: expect.stringContaining('several vaults'),
    });
  });

  it.each(['notes_secret_check', 'constructor', '__proto__'])('%s, which has no rule, stays untold', (constraint) => {
    const mapped = toToolError(broken(constraint));
    expect(mapped.code).toBe('invalid_argument');
    expect(mapped.message).not.toContain(constraint);
  });
});

it('a change of which nobody knows whether it was saved is not to be sent again unread', () => {
  const unknown = outcomeUnknown(failure('ECONNRESET'));
  expect(unknown).toMatchObject({ code: 'database_unavailable', retryable: false });
  expect(unknown.remedy).toContain('Read the entry');
});

it.each(['40001', '40P01', '55P03'])(
  'a read that waited for a lock (%s) is not told of a change that nobody made (T5)',
  (code) => {
    expect(toToolError(failure(code), { readOnly: true })).toMatchObject({
      code: 'overloaded',
      retryable: true,
      message: expect.stringContaining('locked'),
    });
    expect(toToolError(failure(code))).toMatchObject({ code: 'conflict', retryable: true });
  },
);
