import { ToolError } from '../mcp/tool-error.ts';
import { brokenConstraint } from './constraints.ts';

const UNAVAILABLE =
  /^(08...|57P0.|53...|XX...|ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH)$/;
/** What pg says, without a code, about a connection that is gone or was not to be had in time. */
const CONNECTION_GONE =
  /connection terminated|connection error|not queryable|connection timeout|timeout exceeded when trying to connect|query read timeout|client was closed|client has encountered/i;

/**
 * From Postgres: a message of ours that it can't read, such as one with too few parameters. From PgBouncer: anything, such as
 * a server that is not there or a client too many.
 */
const PROTOCOL_VIOLATION = '08P01';

/** SQLSTATE of our own: the bank is on its way into another database (docs/placement.md). */
const BEING_MOVED = 'BH003';
/** A freeze ends by itself after five seconds and takes one or two. */
const MOVED_WITHIN_SECONDS = 2;

/** The bank is being moved: not to be written just now, or not here any more. Nothing was changed. */
export function isBeingMoved(error: unknown): boolean {
  return codeOf(error) === BEING_MOVED;
}

/** Where it is, once it has gone from the database that says so: a URL without a login. */
export function placeMovedTo(error: unknown): string | undefined {
  const { detail } = error as { detail?: unknown };
  return isBeingMoved(error) && typeof detail === 'string' && URL.canParse(detail) ? detail : undefined;
}

/** SQLSTATE (PostgreSQL, appendix A) or the system's error code; undefined for anything else. */
export function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError) return codeOf(error.errors[0]);
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

/** Postgres names the place in its source; PgBouncer doesn't. */
function isOfPostgres(error: unknown): boolean {
  return (error as { routine?: unknown }).routine !== undefined;
}

/** The server, or the way to it, is gone; the same call can succeed in a moment. */
export function isUnavailable(error: unknown): boolean {
  const code = codeOf(error);
  if (code === PROTOCOL_VIOLATION) return !isOfPostgres(error);
  if (code !== undefined) return UNAVAILABLE.test(code);
  return error instanceof Error && CONNECTION_GONE.test(error.message);
}

/**
 * Postgres has no room for this just now, in its memory that all share or among its connections: another bank may be at it, which is over
 * when the watchdog has looked (docs/adr/0021). It says so before anything is saved.
 */
export function isCrowdedOut(error: unknown): boolean {
  const code = codeOf(error);
  return code === '53200' || code === '53300';
}

/** Nobody took the connection: a firewall that rejects says the same as a port where nobody listens. */
export function isTurnedAway(error: unknown): boolean {
  return /^(ECONNREFUSED|EHOSTUNREACH|ENETUNREACH)$/.test(codeOf(error) ?? '');
}

/** The pool is full, with connections that others have or that are being made, and none came free in time. */
export function isNoneFree(error: unknown): boolean {
  return error instanceof Error && error.message === 'timeout exceeded when trying to connect';
}

/** The login was refused: the password may just have been rotated. */
export function isLoginRefused(error: unknown): boolean {
  const code = codeOf(error);
  return code === '28P01' || code === '28000';
}

/** A pooler in front of Postgres lost a statement that this connection had prepared. */
export function isPreparedStatementLost(error: unknown): boolean {
  const code = codeOf(error);
  return code === '26000' || code === '42P05';
}

/** Any failure of a transaction as an error for the caller. The original is kept as `cause`, for the log alone. */
export function toToolError(error: unknown, { readOnly = false }: { readOnly?: boolean } = {}): ToolError {
  if (error instanceof ToolError) return error;
  if (isUnavailable(error) || isLoginRefused(error)) return databaseUnavailable(error);
  const code = codeOf(error) ?? '';
  const options = { cause: error };
  if (isBeingMoved(error)) return beingMoved(error);
  const broken = brokenConstraint(error);
  if (broken !== undefined) return broken;
  if (code === '57014') {
    return new ToolError(
      'too_slow',
      'The query took longer than its time limit.',
      'Narrow it: give from and to, a vault, or a more specific query.',
      options,
    );
  }
  if (code === '42501' || code === '25006') {
    return new ToolError('forbidden', 'The database refused this access.', 'Ask for a token that allows it.', options);
  }
  if (code === '40001' || code === '40P01' || code === '55P03') {
    if (readOnly) return busy(error);
    return new ToolError('conflict', 'Another call changed the same rows at the same time.', 'Send the call again.', {
      ...options,
      retryable: true,
    });
  }
  if (code === '23505') {
    return new ToolError('already_exists', 'Such an entry exists already.', 'Read it, or send another id.', options);
  }
  if (code === '23503') {
    return new ToolError('not_found', 'The call refers to an entry that is not there.', 'List what exists.', options);
  }
  if (/^(22|23)/.test(code)) {
    return new ToolError(
      'invalid_argument',
      'The database refused a value of the call.',
      'Check the arguments for characters or numbers that can not be meant.',
      options,
    );
  }
  return new ToolError(
    'internal',
    'The call failed for a reason that is not yours.',
    'Report the request id.',
    options,
  );
}

/** A reader waited for somebody's lock, such as that of maintenance: nobody changed anything under it (T5). */
function busy(cause: unknown): ToolError {
  return new ToolError(
    'overloaded',
    'What you wanted to read was locked by other work, and the call stopped waiting for it. Nothing is wrong with the call.',
    'Send the same call again in a few seconds.',
    { retryable: true, cause },
  );
}

function databaseUnavailable(cause: unknown): ToolError {
  return new ToolError(
    'database_unavailable',
    "The bank's database can't be reached at the moment. This is temporary and nothing was changed.",
    'Send the same call again in a few seconds.',
    { retryable: true, cause },
  );
}

function beingMoved(cause: unknown): ToolError {
  return new ToolError(
    'database_unavailable',
    'The bank is being moved into another database. This is over in a few seconds and nothing was changed.',
    `Send the same call again in ${MOVED_WITHIN_SECONDS} seconds.`,
    { retryable: true, details: { retryAfterSeconds: MOVED_WITHIN_SECONDS }, cause },
  );
}

/** The connection broke while a change was being saved. */
export function outcomeUnknown(cause: unknown): ToolError {
  return new ToolError(
    'database_unavailable',
    'The connection to the database broke while the change was being saved: it was made or not.',
    'Read the entry before you send the call again. A create with an idempotencyKey can be sent again as it is.',
    { cause },
  );
}
