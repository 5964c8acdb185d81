/**
 * Of every integration test: what bank servers in its process send to Postgres. A text that was not made by `statement` would have the
 * watchdog end the bank's sessions (docs/adr/0036), so it fails the test's file.
 */
import { statementTexts } from '@bankhouse/server';
import pg from 'pg';
import { afterAll } from 'vitest';

const OURS = ['bankhouse', 'bankhouse changes'];
const LISTEN = /^unlisten \*; listen "bankhouse_[0-9a-f]{48}"$/;

/** Every text that a bank server of this process has sent. */
export const sentTexts = new Set<string>();

type Query = (this: pg.Client, ...args: unknown[]) => unknown;
const query = pg.Client.prototype.query as Query;
(pg.Client.prototype as { query: Query }).query = function (...args) {
  const { connectionParameters } = this as unknown as { connectionParameters: { application_name?: string } };
  if (OURS.includes(connectionParameters.application_name ?? '')) {
    const [asked] = args;
    sentTexts.add(typeof asked === 'string' ? asked : (asked as { text: string }).text);
  }
  return query.apply(this, args);
};

afterAll(() => {
  const known = new Set(statementTexts());
  const foreign = [...sentTexts].filter((text) => !known.has(text) && !LISTEN.test(text));
  if (foreign.length > 0) throw new Error(`A bank server sent what is no statement of its:\n${foreign.join('\n')}`);
});
