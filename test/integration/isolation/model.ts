/**
 * What a call must do, computed from the rows that are there. The whole model: a bank's role sees, by functions alone, the rows of its
 * bank that lie in a vault of a valid assertion which reads or writes; it changes those that it sees where the assertion writes, and
 * puts rows only where it could see them. Everyone else has the tables that it was granted, in full, or nothing.
 */
import type { Assertion } from '@bankhouse/core';
import { assertionFor } from '../../harness/postgres.ts';
import type { Row, Vault, World } from './world.ts';

/** What an assertion is good for: the vaults (null: all of them and what is in none), and whether it writes. */
export interface Grant {
  readonly vaults: readonly string[] | null;
  readonly write: boolean;
}
export const NOTHING: Grant = { vaults: [], write: false };

export interface AssertionCase {
  readonly name: string;
  readonly grant: Grant;
  /** Whether it says who calls: any valid one, also of no use for vaults. */
  readonly says: boolean;
  /** The setting's text for this bank; undefined: the statement forgets it. */
  make(world: World, bank: string): string | undefined;
}

const now = () => Math.floor(Date.now() / 1000);
const READ = ['mcp:read'];
const WRITE = ['mcp:read', 'mcp:write'];

function sealed(name: string, grant: Grant, changes: Partial<Assertion>): AssertionCase {
  return { name, grant, says: true, make: (world, bank) => bankOf(world, bank).seal(changes) };
}

function bankOf(world: World, id: string) {
  const bank = world.banks[id];
  if (bank === undefined) throw new Error(`The world has no bank ${id}.`);
  return bank;
}

const other = (bank: string) => (bank === 'acme' ? 'globex' : 'acme');

/** A sealed assertion for the vault sales whose payload was changed to all vaults. */
function tampered(world: World, bank: string): string {
  const [generation, , mac] = bankOf(world, bank)
    .seal({ vaults: ['sales'], scopes: WRITE })
    .split('.');
  const payload = JSON.stringify(assertionFor(bank, { scopes: WRITE }));
  return `${generation}.${Buffer.from(payload).toString('base64url')}.${mac}`;
}

const worthless = (name: string, make: AssertionCase['make']): AssertionCase => ({
  name,
  grant: NOTHING,
  says: false,
  make,
});
const lists = (name: string, vaults: string[] | null): AssertionCase[] => [
  sealed(`for ${name}, which writes`, { vaults, write: true }, { vaults, scopes: WRITE }),
  sealed(`for ${name}, which only reads`, { vaults, write: false }, { vaults, scopes: READ }),
];

export const ASSERTIONS: readonly AssertionCase[] = [
  worthless('that was forgotten', () => undefined),
  worthless('that is empty', () => ''),
  worthless('that is garbage', () => 'let me in'),
  worthless('that was forged with a key of nobody', (world, bank) =>
    bankOf(world, bank).seal({ scopes: WRITE }, { key: Buffer.alloc(32, 7) }),
  ),
  worthless('whose vaults were changed after the seal', tampered),
  worthless('replayed after its window', (world, bank) => bankOf(world, bank).seal({ scopes: WRITE, iat: now() - 62 })),
  worthless('of a clock that is ahead', (world, bank) => bankOf(world, bank).seal({ scopes: WRITE, iat: now() + 30 })),
  worthless('of the other bank', (world, bank) => bankOf(world, other(bank)).seal({ scopes: WRITE })),
  worthless("that names the other bank under this bank's key", (world, bank) =>
    bankOf(world, bank).seal({ bank: other(bank), scopes: WRITE }),
  ),
  worthless("that names this bank under the other bank's key", (world, bank) =>
    bankOf(world, other(bank)).seal({ bank, scopes: WRITE }),
  ),
  ...lists('all vaults', null),
  ...lists('the vault hr', ['hr']),
  ...lists('the vault sales', ['sales']),
  ...lists('the vault support', ['support']),
  ...lists('the vaults hr and sales', ['hr', 'sales']),
  ...lists('every vault by name', ['hr', 'sales', 'support']),
  ...lists('a vault that is not there', ['elsewhere']),
  ...lists('the vault sales and one that is not there', ['elsewhere', 'sales']),
  ...lists('no vault', []),
  sealed('of the operator, which only verifies', NOTHING, { scopes: ['mcp:verify'] }),
  sealed('of no scope', NOTHING, { scopes: [] }),
  sealed('of a scope that nobody knows', NOTHING, { scopes: ['mcp:readwrite', 'write'] }),
  // G7: what one request needs, and not what its token would allow.
  sealed('for reading, of a token that writes', { vaults: null, write: false }, { access: 'read', scopes: WRITE }),
  sealed('for a handshake, of a token that writes', NOTHING, { access: 'none', scopes: WRITE }),
  sealed('for writing, that names no scope', { vaults: null, write: true }, { access: 'write', scopes: [] }),
  sealed('for an access that nobody knows', NOTHING, { access: 'all' as never, scopes: WRITE }),
  worthless('whose token has expired', (world, bank) => bankOf(world, bank).seal({ scopes: WRITE, exp: now() - 6 })),
  // Of a gateway before `access`.
  sealed('by scopes alone, which write', { vaults: null, write: true }, { access: undefined, scopes: WRITE }),
  sealed(
    'by scopes alone, which read',
    { vaults: ['hr'], write: false },
    { access: undefined, vaults: ['hr'], scopes: READ },
  ),
  sealed('by scopes alone, which verify', NOTHING, { access: undefined, scopes: ['mcp:verify'] }),
];

export function covers(grant: Grant, vaults: readonly Vault[]): boolean {
  return grant.vaults === null || vaults.some((vault) => vault !== null && grant.vaults?.includes(vault) === true);
}

/** Rows of `table` that a bank's role sees under a grant; a caller with all vaults sees what is in none, too. */
export function visible(rows: readonly Row[], grant: Grant): Row[] {
  return rows.filter((row) => covers(grant, row.vaults));
}

/** Rows that it may change, delete or lock. */
export function changeable(rows: readonly Row[], grant: Grant): Row[] {
  return grant.write ? visible(rows, grant) : [];
}

/** Whether it may put a row into this vault of its bank. */
export function placeable(vault: Vault, grant: Grant): boolean {
  return grant.write && covers(grant, [vault]);
}
