import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Resource, RPC, type Scope } from '@bankhouse/core';
import { isTooFine } from './body.ts';
import { PUBLIC_CORS } from './cors.ts';

/** A whole answer that the gateway gives itself. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Scopes that callers can have; `mcp:verify` is the operator's. Offered whole: clients ask for what the challenge names, and stay with it. */
const OFFERED_SCOPES: readonly Scope[] = ['mcp:read', 'mcp:write'];

export const MCP_METHODS = 'POST, GET, DELETE, OPTIONS';

/** An error as MCP clients read it: a JSON-RPC error, whose `data.code` is stable; `id` is null, as nobody matched it. */
export function errorAnswer(
  status: number,
  code: string,
  message: string,
  options: { rpcCode?: number; headers?: Record<string, string> } = {},
): Answer {
  const error = { code: options.rpcCode ?? RPC.refused, message, data: { code } };
  return {
    status,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...options.headers },
    body: JSON.stringify({ jsonrpc: '2.0', id: null, error }),
  };
}

/**
 * 401 with the challenge of RFC 6750 section 3 and RFC 9728 section 5.1. A caller without a token gets no error code. The
 * answer depends on the path and the token alone, never on whether the bank exists.
 *
 * @param error `token_absent`, or what is wrong with the token
 */
export function unauthorizedAnswer(
  resource: Resource,
  { code, message }: { readonly code: string; readonly message: string },
): Answer {
  const parameters = [
    ...(code === 'token_absent'
      ? []
      : ['error="invalid_token"', `error_description="${message.replaceAll('"', "'")}"`]),
    `resource_metadata="${resource.metadata}"`,
    `scope="${OFFERED_SCOPES.join(' ')}"`,
  ];
  return errorAnswer(401, code, message, {
    rpcCode: RPC.unauthorized,
    headers: { 'www-authenticate': `Bearer ${parameters.join(', ')}` },
  });
}

/** Where clients look for an authorization server, or fall back to when they find none (MCP 2025-03-26): all of them are nobody's. */
const OAUTH_PATH = /^\/(register|authorize|token|revoke|introspect|\.well-known\/[^?]*)(\?|$)/;

/** 404 of a path that nobody owns: as OAuth clients read it (RFC 6749 section 5.2) where they ask, else as MCP clients do (P7). */
export function nothingHereAnswer(target: string): Answer {
  if (!OAUTH_PATH.test(target)) {
    const message =
      'Nothing is here. A bank answers at exactly /mcp/bank-<id>, with nothing encoded, doubled or added.';
    return errorAnswer(404, 'path_unknown', message);
  }
  const description =
    "Nothing is here. A bank's authorization servers stand in /.well-known/oauth-protected-resource/mcp/bank-<id>.";
  return {
    status: 404,
    headers: { 'content-type': 'application/json', 'cache-control': 'no-store', ...PUBLIC_CORS },
    body: JSON.stringify({ error: 'not_found', error_description: description }),
  };
}

const NO_BANK =
  'No bank answers here for this token: it may be suspended or deleted, or never have existed. Ask whoever runs the platform.';

/**
 * 403 (RFC 6750 section 3.1), with all scopes that the caller holds and needs: a client replaces those that it has by these.
 *
 * @param scopes those
 */
export function scopeAnswer(resource: Resource, scopes: readonly Scope[]): Answer {
  const scope = scopes.join(' ');
  const message = `The token does not allow this; it needs the scope "${scope}".`;
  return errorAnswer(403, 'insufficient_scope', message, {
    rpcCode: RPC.forbidden,
    headers: {
      'www-authenticate': `Bearer error="insufficient_scope", error_description="${message.replaceAll('"', "'")}", scope="${scope}", resource_metadata="${resource.metadata}"`,
    },
  });
}

/** A bank that is not there, or is suspended: no other token would help, so nothing challenges the client to get one. */
export function noBankAnswer(): Answer {
  return errorAnswer(403, 'bank_unavailable', NO_BANK, { rpcCode: RPC.forbidden });
}

export function methodRefused(methods = MCP_METHODS): Answer {
  const message = `This URL takes ${methods}; MCP clients POST.`;
  return errorAnswer(405, 'method_refused', message, { headers: { allow: methods } });
}

/** Of a body that is refused so much is read all the same, and for so long: an ingress that finds nobody reading answers 502. */
const DISCARD_MAX_BYTES = 64 * 1024 * 1024;
const DISCARD_LIMIT_MS = 10_000;

/**
 * Writes an answer of the gateway's own. Whoever is still sending its request gets the answer at once, and the end of it when the rest has gone
 * by: a connection that is closed under a sender takes the answer with it (G13).
 */
export function send(response: ServerResponse, answer: Answer, headers: Readonly<Record<string, string>>): void {
  const request = response.req;
  // A client that asked first and was not invited sends nothing: there is no next request to be found on this connection.
  const isUninvited = !request.complete && request.headers.expect !== undefined;
  response.writeHead(answer.status, {
    ...answer.headers,
    ...headers,
    ...(isUninvited ? { connection: 'close' } : {}),
    ...(answer.status === 204 ? {} : { 'content-length': Buffer.byteLength(answer.body) }),
  });
  if (request.complete || isUninvited) response.end(answer.body);
  else {
    response.write(answer.body);
    discardRest(request, () => response.end());
  }
}

function discardRest(request: IncomingMessage, then: () => void): void {
  let bytes = 0;
  let parts = 0;
  const stop = () => request.destroy();
  const limit = setTimeout(stop, DISCARD_LIMIT_MS);
  request.on('data', (part: Buffer) => {
    bytes += part.length;
    parts += 1;
    if (bytes > DISCARD_MAX_BYTES || isTooFine(parts, bytes)) stop();
  });
  request.on('error', () => {});
  request.on('close', () => clearTimeout(limit));
  request.on('end', () => {
    clearTimeout(limit);
    then();
  });
  request.resume();
}

/** An issuer, and the banks that it is trusted for by name (`namespace/id`). */
interface Announced {
  readonly issuer: string;
  readonly banks?: readonly string[] | undefined;
}

/**
 * Protected-resource metadata (RFC 9728 section 2): a matter of configuration alone, so that it tells nobody whether a bank exists. Foreign
 * issuers that are trusted for a bank of this id by name come first: clients take the first, and ours has no authorization endpoint yet.
 *
 * @param ownIssuer the platform's, which is trusted for every bank
 */
export function metadataAnswer(resource: Resource, issuers: readonly Announced[], ownIssuer: string): Answer {
  const { bank, audience } = resource;
  const named = issuers.filter(({ banks }) => banks?.some((trusted) => trusted.endsWith(`/${bank}`)));
  const own = issuers.filter(({ issuer }) => issuer === ownIssuer);
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' },
    body: JSON.stringify({
      resource: audience,
      resource_name: `Bankhouse bank ${bank}`,
      authorization_servers: [...named, ...own].map(({ issuer }) => issuer),
      scopes_supported: OFFERED_SCOPES,
      bearer_methods_supported: ['header'],
    }),
  };
}
