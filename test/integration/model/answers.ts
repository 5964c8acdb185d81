/** What tools answer and what the model says, in one form to be compared. */
import type { Fields, Model, Result, Row, Token } from './model.ts';

/** Calls a tool; of a failure, its code and details. */
export type Ask = (token: Token, name: string, args: Fields) => Promise<Fields>;

/** What came of a step, and what should have. */
export interface Played {
  readonly said: string;
  /** For counting. */
  readonly outcome: string;
  readonly actual: unknown;
  readonly expected: unknown;
}
export type Move = (model: Model, ask: Ask) => Promise<Played>;

/** Of an answer what the model knows. */
export function told(answered: Fields): Fields {
  const { id, version, status, vaultId, archived, replayed, deleted, code } = answered;
  return { id, version, status, vaultId, archived, replayed, deleted, code };
}

export function wanted(result: Result): Fields {
  if (!result.ok) return told({ code: result.code });
  const { row, replayed, deleted } = result;
  return deleted === undefined ? told({ ...row, replayed }) : told({ id: row.id, deleted });
}

/** A row as lists give it. */
export function entry(row: Row): Fields {
  const { id, version, status, vaultId, createdBy, updatedBy, archived, fields } = row;
  return { id, version, status, vaultId, createdBy, updatedBy, archived, ...fields };
}

export function seen(listed: Fields): Fields {
  const { createdAt: _c, updatedAt: _u, archivedAt, truncated: _t, completedAt, ...rest } = listed;
  if (completedAt !== undefined && (completedAt !== null) !== (rest.status === 'done')) return { ...rest, completedAt };
  return { ...rest, archived: archivedAt !== null };
}

/** The entries of all pages. */
export async function allPages(
  ask: Ask,
  token: Token,
  { name, args, list }: { name: string; args: Fields; list: string },
): Promise<Fields[] | { code: unknown }> {
  const entries: Fields[] = [];
  let cursor: unknown;
  do {
    const page = await ask(token, name, cursor === undefined ? args : { ...args, cursor });
    if (page.code !== undefined) return { code: page.code };
    entries.push(...(page[list] as Fields[]));
    cursor = page.nextCursor;
  } while (cursor !== undefined);
  return entries;
}
