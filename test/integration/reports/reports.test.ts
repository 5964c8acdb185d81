/**
 * What people who run such servers, or connect to them, have reported in public, each as a check of a bank behind the gateway on a real Postgres.
 * `source` is where: a repository and its thread. What has none is another way in which a fault of such a kind would show.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ANSWERS } from './answers.ts';
import { AUTHORIZATION } from './authorization.ts';
import { type Bank, startBank } from './bank.ts';
import { SCHEMAS } from './schemas.ts';
import { TRANSPORT } from './transport.ts';

let bank: Bank;
beforeAll(async () => {
  bank = await startBank();
});
afterAll(() => bank?.[Symbol.asyncDispose]());

describe.each([
  ['on the wire', TRANSPORT],
  ['signing in, and browsers', AUTHORIZATION],
  ['lists of tools', SCHEMAS],
  ['calls and answers', ANSWERS],
])('%s', (_room, reports) => {
  it.each(reports)('$holds', ({ check }) => check(bank));
});

it('more than 55 reports are looked at, each by a sentence of its own', () => {
  const all = [...TRANSPORT, ...AUTHORIZATION, ...SCHEMAS, ...ANSWERS];
  expect(new Set(all.map(({ holds }) => holds)).size).toBe(all.length);
  expect(all.filter(({ source }) => /^[\w.-]+\/[\w.-]+#\d+$/.test(source ?? '')).length).toBeGreaterThan(55);
});
