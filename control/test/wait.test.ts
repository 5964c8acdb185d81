import { createLogger } from '@bankhouse/core';
import pg from 'pg';
import { describe, expect, it } from 'vitest';
import { type Database, DatabaseUnavailableError, isUnavailable } from '../src/database/pool.ts';
import { waitForSchema, whyNotReady } from '../src/database/wait.ts';

const sqlError = (code: string) => Object.assign(new pg.DatabaseError('said so', 0, 'error'), { code });

describe('why the schema is not ready', () => {
  it.each<[string, unknown, RegExp]>([
    ['no table', sqlError('42P01'), /migration job makes it/],
    ['no schema', sqlError('3F000'), /migration job makes it/],
    ['a role that may not log in yet', sqlError('28000'), /refuses our role/],
    [
      'nothing listens',
      new DatabaseUnavailableError(new Error('connect ECONNREFUSED')),
      /can't be reached \(connect ECONNREFUSED\)/,
    ],
  ])('%s', (_sentence, error, expected) => {
    expect(whyNotReady(error)).toMatch(expected);
  });
});

describe('an error of the database', () => {
  it.each<[string, unknown, boolean]>([
    ['a broken socket passes', new Error('Connection terminated unexpectedly'), true],
    ['a shutdown passes', sqlError('57P01'), true],
    ['too many connections pass', sqlError('53300'), true],
    ['a wrong statement stays wrong', sqlError('42601'), false],
    ['a statement that ran too long is not sent again', sqlError('57014'), false],
    ['a bug of ours stays a bug', new TypeError('x is undefined'), false],
  ])('%s', (_sentence, error, expected) => {
    expect(isUnavailable(error)).toBe(expected);
  });
});

describe('waiting for the schema', () => {
  it('says each reason once, and again only after fifteen seconds', async () => {
    const answers = [...Array<unknown>(12).fill(new Error('ECONNREFUSED')), sqlError('42P01'), undefined];
    const database: Database = {
      query: async () => {
        const answer = answers.shift();
        if (answer !== undefined) throw answer;
        return [];
      },
      close: async () => {},
    };
    const lines: { msg: string; reason?: string }[] = [];
    let now = 0;
    await waitForSchema(database, {
      log: createLogger({ component: 'test', destination: { write: (line) => void lines.push(JSON.parse(line)) } }),
      delay: async (ms) => {
        now += ms;
      },
      now: () => now,
      signal: new AbortController().signal,
    });
    expect(lines.map(({ msg, reason }) => reason ?? msg)).toEqual([
      "it can't be reached (ECONNREFUSED)",
      "it can't be reached (ECONNREFUSED)",
      'the schema is not there yet; the migration job makes it',
      'the database is there',
    ]);
  });
});
