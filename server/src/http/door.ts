import type { IncomingHttpHeaders } from 'node:http';
import {
  ASSERTION_MAX_BYTES,
  type Assertion,
  AssertionError,
  allows,
  BankhouseError,
  DATABASE_ASSERTION_HEADER,
  decide,
  field,
  openAssertion,
  POD_ASSERTION_HEADER,
  RPC,
  type ToolLookup,
} from '@bankhouse/core';
import type { Caller } from '../caller.ts';
import type { Secrets } from '../secrets.ts';

const SEALED = /^[0-9]{1,9}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/;

export class DoorError extends BankhouseError {
  readonly status: 401 | 403;
  readonly rpcCode: number;
  /** Scopes that the caller holds and needs, for a 403. */
  readonly scopes: readonly string[];
  /** Id of the JSON-RPC request that is refused; null where it was not read. */
  readonly requestId: string | number | null;

  constructor(
    status: 401 | 403,
    code: string,
    message: string,
    { scopes = [], requestId = null }: { scopes?: readonly string[]; requestId?: string | number | null } = {},
  ) {
    super(code, message);
    this.name = 'DoorError';
    this.status = status;
    this.rpcCode = status === 401 ? RPC.unauthorized : RPC.forbidden;
    this.scopes = scopes;
    this.requestId = requestId;
  }
}

/**
 * The second lock (R3.2): every MCP request carries an assertion that the gateway sealed for this pod, whatever the gateway
 * checked before. A seal that doesn't fit makes the keys be looked at once more, as they may just have been rotated.
 *
 * @param now seconds since 1970
 * @throws DoorError 401
 */
export function openDoor(headers: IncomingHttpHeaders, bank: string, secrets: Secrets, now: number): Caller {
  const databaseAssertion = single(headers[DATABASE_ASSERTION_HEADER]);
  const assertion = openSeal(headers, bank, secrets, now);
  if (
    databaseAssertion === undefined ||
    databaseAssertion.length > ASSERTION_MAX_BYTES ||
    !SEALED.test(databaseAssertion)
  ) {
    throw new DoorError(401, 'assertion_absent', 'The request carries no assertion for the database.');
  }
  return { assertion, databaseAssertion };
}

/** For what needs no database. @throws DoorError 401 */
export function openSeal(headers: IncomingHttpHeaders, bank: string, secrets: Secrets, now: number): Assertion {
  const sealed = single(headers[POD_ASSERTION_HEADER]);
  try {
    return withFreshKeys(() => openAssertion(sealed, { bank, keys: secrets.sealKeys(), now }), secrets);
  } catch (error) {
    if (error instanceof AssertionError) throw new DoorError(401, error.code, error.message);
    throw error;
  }
}

function withFreshKeys<T>(open: () => T, secrets: Secrets): T {
  try {
    return open();
  } catch (error) {
    if (!(error instanceof AssertionError) || error.code !== 'assertion_forged') throw error;
    secrets.refresh();
    return open();
  }
}

/**
 * Whether the assertion is for every message of a request body (G7). What is no JSON-RPC request is let through: the SDK answers it
 * without running anything.
 *
 * @param tools that the bank offers
 * @param answering name of the tool that answers a call of this one with such arguments, which may be another
 * @throws DoorError 403
 */
export function checkAccess(
  body: unknown,
  assertion: Pick<Assertion, 'access' | 'scopes' | 'vaults'>,
  tools: ToolLookup,
  answering: (tool: string, args: unknown) => string = (tool) => tool,
): void {
  for (const message of Array.isArray(body) ? body : [body]) {
    const method = field(message, 'method');
    if (typeof method !== 'string') continue;
    const name = method === 'tools/call' ? field(message, 'params', 'name') : undefined;
    const tool = typeof name === 'string' ? answering(name, field(message, 'params', 'arguments')) : undefined;
    const { allowed, needed, access } = decide({ catalogue: { tools } }, { method, tool }, assertion);
    // A call that is forwarded to no tool comes to a refusal in words, for which its gateway need not have sealed a write.
    const isForNothing = tool !== undefined && tools.get(tool)?.access === 'either';
    if (assertion.access === undefined ? allowed : allows(assertion.access, isForNothing ? 'read' : access)) continue;
    const id = Array.isArray(body) ? null : field(message, 'id');
    throw new DoorError(
      403,
      'insufficient_scope',
      `${tool === undefined ? method.slice(0, 64) : `The tool ${tool.slice(0, 64)}`} ${allowed ? 'is more than the request was let through for.' : `needs the scope "${needed.join(' ')}"; ask for a token that has it.`}`,
      { scopes: needed, requestId: typeof id === 'string' || typeof id === 'number' ? id : null },
    );
  }
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? undefined : value;
}
