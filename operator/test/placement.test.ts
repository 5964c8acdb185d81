import { describe, expect, test } from 'vitest';
import {
  isSameKind,
  type Placement,
  parsePlacement,
  placementName,
  placementOf,
  placementWords,
  whereOf,
} from '../src/placement/index.ts';
import { settings } from './fixtures.ts';

const platform = { kind: 'platform' } as const;
const theirs = { kind: 'secret', namespace: 'bankhouse-system', name: 'big.postgres' } as const;
const own = 'bank_56b53233293aee9c62ffb7fe';

describe('a bank of a class', () => {
  test.each<[string, Parameters<typeof placementOf>[1], Placement, string]>([
    [
      'that says nothing is in the common database of the platform',
      undefined,
      { isolation: 'shared', server: platform, database: 'bankhouse' },
      'platform',
    ],
    [
      'that says shared is there too',
      { isolation: 'shared' },
      { isolation: 'shared', server: platform, database: 'bankhouse' },
      'platform',
    ],
    [
      'that says dedicated has a database of its own, under a name that tells nothing',
      { isolation: 'dedicated' },
      { isolation: 'dedicated', server: platform, database: own },
      `platform/${own}`,
    ],
    [
      "with a Postgres of its own is in that one's common database",
      { isolation: 'shared', secretRef: { name: 'big.postgres' } },
      { isolation: 'shared', server: theirs, database: 'bankhouse' },
      'secret:big.postgres',
    ],
    [
      'with both has a database of its own there',
      { isolation: 'dedicated', secretRef: { name: 'big.postgres' } },
      { isolation: 'dedicated', server: theirs, database: own },
      `secret:big.postgres/${own}`,
    ],
  ])('%s', (_, wanted, placement, name) => {
    expect(placementOf('uid-acme', wanted, settings)).toEqual(placement);
    expect(placementName(placement)).toBe(name);
    expect(parsePlacement(name, settings)).toEqual(placement);
  });

  test('has another database of its own than any other life of its id', () => {
    const names = ['uid-1', 'uid-2'].map((uid) => placementOf(uid, { isolation: 'dedicated' }, settings).database);
    expect(new Set(names).size).toBe(2);
  });

  test("keeps the platform's database apart by whatever name the chart gives it", () => {
    const elsewhere = { ...settings, DATABASE_URL: 'postgres://operator@db/bank%20rows?sslmode=require' };
    expect(placementOf('uid-acme', undefined, elsewhere).database).toBe('bank rows');
  });
});

test.each([
  ["the platform's common one", 'platform', { server: undefined, own: undefined }, 'the common database'],
  ["a bank's own", `platform/${own}`, { server: undefined, own }, "a database of the bank's own"],
  [
    'the common one of another server',
    'secret:big.pg',
    { server: 'big.pg', own: undefined },
    'the common database on the server "big.pg"',
  ],
  [
    "a bank's own there",
    `secret:big/${own}`,
    { server: 'big', own },
    'a database of the bank\'s own on the server "big"',
  ],
  ['what no release wrote', 'platform/postgres', undefined, 'the placement "platform/postgres"'],
])('in parts and words: %s', (_, name, where, words) => {
  expect(whereOf(name)).toEqual(where);
  expect(placementWords(name)).toBe(words);
});

test.each([
  ['the same', 'platform', 'platform', true],
  ["two banks' own", `platform/${own}`, `platform/${own.replaceAll('5', '6')}`, true],
  ['common and own', 'platform', `platform/${own}`, false],
  ['two servers', 'platform', 'secret:big', false],
  ['what this release does not know', 'elsewhere', 'platform', true],
])('of one kind: %s', (_, one, other, expected) => {
  expect(isSameKind(one, other)).toBe(expected);
  expect(isSameKind(other, one)).toBe(expected);
});

test.each([
  ['nothing', ''],
  ['another server', 'elsewhere'],
  ['a database that is no bank’s own', 'platform/postgres'],
  ['a Secret of another namespace', 'secret:banks/big'],
  ['a Secret without name', 'secret:'],
  ['more behind it', `platform/${own}/x`],
  ['a line more', `platform/${own}\n`],
])('a name with %s is refused', (_, name) => {
  expect(() => parsePlacement(name, settings)).toThrow(expect.objectContaining({ code: 'placement_unknown' }));
});
