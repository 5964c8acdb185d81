import { type Logger, messageOf, type ToolProfile } from '@bankhouse/core';
import type { AuthInfo, ServerContext } from '@modelcontextprotocol/server';
import type { Caller } from '../caller.ts';
import type { Changes } from '../changes/index.ts';
import type { Database } from '../database/database.ts';
import type { Sessions } from '../sessions/index.ts';
import type { AnswerBudget } from './answer-budget.ts';
import type { Surface } from './surface.ts';
import { ToolError } from './tool-error.ts';
import type { CallContext } from './toolset.ts';

/** What serving a bank takes. */
export interface Serving {
  readonly surface: Surface;
  readonly database: Database;
  readonly changes: Changes;
  readonly sessions: Sessions;
  readonly logger: Logger;
  /** For the line of each call, whose fields are no objects. */
  readonly callLogger: Logger;
  readonly bank: string;
  /** For people; asked anew for every server that is made, since it can change. */
  bankName(): string;
  readonly version: string;
  /** Tells when the Bank says another profile than before. Absent: it says none. */
  readonly bankProfile?: { onChange(listener: () => void): () => void };
  /** Told of every tool call: `outcome` is `ok` or a ToolError's code. */
  onToolCall?(tool: string, outcome: string, durationMs: number): void;
}

/** What an HTTP request brings along for the messages in it. */
export interface Requested {
  readonly caller: Caller;
  readonly profile: ToolProfile;
  /** The profile is what the Bank says, which may change: the URL said none. */
  readonly followsBank?: boolean;
  /** UUID of its session, where it is in one (2025-11-25 and before). */
  readonly session?: string | undefined;
  /** Of a batch: all its answers together. */
  readonly budget?: AnswerBudget | undefined;
}

/** Tells when lists of tools show something else to who made such a request. @returns ends the listening */
export interface ToolLists {
  onChange(listener: () => void, requested: Requested): () => void;
}

/** It as the SDK's pass-through `authInfo`; there is no token in it, since none comes this far. */
export function toAuthInfo(requested: Requested): AuthInfo {
  const { sub, scopes } = requested.caller.assertion;
  return { token: '', clientId: sub, scopes: [...scopes], extra: { requested } };
}

/** Undefined for what came past the door. */
export function requestedOf(authInfo: AuthInfo | undefined): Requested | undefined {
  return authInfo?.extra?.requested as Requested | undefined;
}

export function requestOf(context: ServerContext): Requested {
  const requested = requestedOf(context.http?.authInfo);
  if (requested === undefined) throw new Error('The request came past the door.');
  return requested;
}

export function inTransaction<T>(
  serving: Serving,
  caller: Caller,
  signal: AbortSignal,
  readOnly: boolean,
  work: (call: CallContext) => Promise<T>,
): Promise<T> {
  const { bank, bankName, database } = serving;
  return database.withCaller(caller, { signal, readOnly }, (tx) => work({ bank, bankName: bankName(), caller, tx }));
}

export function asToolError(error: unknown): ToolError {
  if (error instanceof ToolError) return error;
  return new ToolError('internal', 'The call failed for a reason that is not yours.', 'Report the request id.', {
    cause: error,
  });
}

/** What the caller isn't told: the cause. Mistakes of the caller are no event of ours. */
export function logFailure(logger: Logger, failure: ToolError, fields: Record<string, string>): void {
  if (failure.cause === undefined) return;
  const details = { ...fields, code: failure.code, reason: messageOf(failure.cause) };
  if (failure.code === 'internal') logger.error(details, 'call failed');
  else logger.warn(details, 'call failed');
}
