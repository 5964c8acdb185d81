import type { IncomingMessage, ServerResponse } from 'node:http';
import { messageOf, type Operation } from '@bankhouse/core';
import type { Caller } from '../authentication/authenticator.ts';
import type { Outcome } from '../metrics.ts';

/** What is found out about a call on its way, for its audit record. */
export interface Trace {
  caller: Caller | undefined;
  operations: readonly Operation[];
  /** That are called: where one forwards, the one that is meant. */
  tools: readonly string[];
  retries: number;
  /** When it began to be written to its bank server, in milliseconds of performance.now(); 0: not yet. */
  sentAt: number;
}

/** Longer than any honest name of a method or tool. */
const MAX_TEXT = 128;
const MAX_NAMES = 10;
const MAX_PROBLEM = 300;
/** Control characters, line separators and marks that turn a line around: a log is read by people too. */
const INVISIBLE = /[\p{C}\p{Zl}\p{Zp}]/gu;

/** The fields of a call's audit record; none is longer than a few hundred characters, whatever client and bank say (G3). */
export function recordOf(
  call: {
    bank: string;
    requestId: string;
    request: IncomingMessage;
    response: ServerResponse;
    startedAt: number;
    trace: Trace;
  },
  outcome: Outcome,
  problem: unknown,
): Record<string, unknown> {
  const { caller, operations, tools, retries, sentAt } = call.trace;
  const methods = operations.map(({ method }) => method);
  return {
    outcome,
    bank: call.bank,
    requestId: call.requestId,
    status: call.response.statusCode,
    httpMethod: call.request.method,
    durationMs: round(performance.now() - call.startedAt),
    ...(sentAt === 0 ? {} : { addedMs: round(sentAt - call.startedAt) }),
    ...(retries === 0 ? {} : { retries }),
    ...(caller === undefined ? {} : callerFields(caller)),
    ...(methods.length === 0 ? {} : { methods: namesOf(methods) }),
    ...(methods.length > MAX_NAMES ? { messages: methods.length } : {}),
    ...(tools.length === 0 ? {} : { tools: namesOf(tools) }),
    ...(problem === undefined ? {} : { reason: codeOf(problem) }),
    ...(outcome === 'upstream_failed' && problem instanceof Error
      ? { problem: logText(messageOf(problem.cause), MAX_PROBLEM) }
      : {}),
    ...(outcome === 'internal_error' ? { problem: logText(messageOf(problem), MAX_PROBLEM) } : {}),
  };
}

function callerFields({ claims }: Caller): Record<string, string> {
  return {
    sub: logText(claims.sub, 255),
    iss: claims.iss,
    jti: logText(claims.jti),
    client: logText(claims.client_id, 255),
  };
}

function namesOf(names: readonly string[]): string[] {
  return names.slice(0, MAX_NAMES).map((name) => logText(name));
}

/** What somebody else wrote, as a line of a log can have it. */
export function logText(text: string, max = MAX_TEXT): string {
  const short = text.length > max ? `${text.slice(0, max)}…` : text;
  return short.replace(INVISIBLE, '\u{fffd}');
}

function codeOf(problem: unknown): string {
  return problem instanceof Error && 'code' in problem && typeof problem.code === 'string' ? problem.code : 'unknown';
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}
