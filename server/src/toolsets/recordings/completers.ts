import type { Transaction } from '../../database/transaction.ts';
import type { Completer } from '../../mcp/toolset.ts';
import { isRecordingId } from '../shared/ids.ts';
import { cut, fitsWords, oneLine } from '../shared/words.ts';
import { filterValues } from './schemas.ts';
import { LIST_VAULTS, NEWEST_TITLES, SEARCH_RECORDINGS, type TitleRow, type VaultRow } from './sql.ts';

/** Calls that are looked at by title; older ones are found by their words. */
const LOOKED_AT = 500;
const PROPOSED = 20;
const TITLE_LENGTH = 80;
/** `Title · 2026-05-01 · id`. */
const LABEL = /· (\S+)$/;

/** Vault ids, by their beginning or by words of the vault's name. */
export const completeVault: Completer = async (typed, { tx }) => {
  const vaults = await tx.rows<VaultRow>(LIST_VAULTS);
  return { values: vaults.filter((row) => fitsWords(typed, row.id, row.display_name)).map((row) => row.id) };
};

/** Ids of calls, by their beginning or by words, newest first. */
export const completeRecordingId: Completer = async (typed, { tx }) => {
  const rows = await callsFor(tx, typed);
  return { values: rows.slice(0, PROPOSED).map((row) => row.id), more: rows.length > PROPOSED };
};

/** Calls for a person to pick from: `title · day · id`, which `findCall` understands. */
export const completeCall: Completer = async (typed, { tx }) => {
  const rows = await callsFor(tx, typed);
  return { values: rows.slice(0, PROPOSED).map(callLabel), more: rows.length > PROPOSED };
};

/** The id of the call that a person means by an id, by what `completeCall` proposed, or by words; undefined for none. */
export async function findCall(tx: Transaction, meant: string): Promise<string | undefined> {
  const id = LABEL.exec(meant)?.[1] ?? meant;
  if (isRecordingId(id)) return id;
  return (await callsFor(tx, meant))[0]?.id;
}

function callLabel(row: TitleRow): string {
  return `${cut(oneLine(row.title ?? '(no title)'), TITLE_LENGTH)} · ${row.started_at.slice(0, 10)} · ${row.id}`;
}

/** By title or id among the newest, and where nothing fits, by what was said in any. */
async function callsFor(tx: Transaction, typed: string): Promise<TitleRow[]> {
  // Postgres takes no NUL.
  const words = typed.replaceAll('\0', ' ').toWellFormed().trim();
  const rows = await tx.rows<TitleRow>(NEWEST_TITLES, [LOOKED_AT]);
  const fitting = rows.filter((row) => row.id.startsWith(words) || fitsWords(words, row.title ?? '', callLabel(row)));
  if (fitting.length > 0 || words === '') return fitting;
  return tx.rows<TitleRow>(SEARCH_RECORDINGS, [words, ...filterValues({}), PROPOSED, 0, null]);
}
