import { describe, expect, it } from 'vitest';
import { toToolError } from '../src/database/errors.ts';
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
    ['a refused login', failure('28P01'), 'database_unavailable', true],
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
