import { bankMetadataUrl, bankUrl, type Scope } from '@bankhouse/core';
import { TOKEN_REASONS, type TokenReason } from '../authentication/token-error.ts';
import { RPC } from '../authorization.ts';
import type { IssuerConfig } from '../config.ts';

/** A whole answer that the gateway gives itself. */
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Scope in the challenge to a caller without a token: the least that is of use. */
const FIRST_SCOPE: Scope = 'mcp:read';

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
 */
export function unauthorizedAnswer(frontDoor: string, bank: string, reason: TokenReason): Answer {
  const parameters = [
    ...(reason === 'token_absent'
      ? []
      : ['error="invalid_token"', `error_description="${TOKEN_REASONS[reason].replaceAll('"', "'")}"`]),
    `resource_metadata="${bankMetadataUrl(frontDoor, bank)}"`,
    `scope="${FIRST_SCOPE}"`,
  ];
  return errorAnswer(401, reason, TOKEN_REASONS[reason], {
    rpcCode: RPC.unauthorized,
    headers: { 'www-authenticate': `Bearer ${parameters.join(', ')}` },
  });
}

const NO_BANK =
  'No bank answers here for this token: it may be suspended or deleted, or never have existed. Ask whoever runs the platform.';

/**
 * 403 (RFC 6750 section 3.1), with all scopes that the operation needs. A bank that is not there, or is suspended, gets the
 * same form: only a caller with a good token for this very URL ever sees it.
 */
export function forbiddenAnswer(
  frontDoor: string,
  bank: string,
  refusal: { code: 'insufficient_scope' | 'bank_unavailable'; scopes: readonly Scope[] },
): Answer {
  const scope = (refusal.scopes.length === 0 ? [FIRST_SCOPE] : refusal.scopes).join(' ');
  const message =
    refusal.code === 'bank_unavailable' ? NO_BANK : `The token does not allow this; it needs the scope "${scope}".`;
  return errorAnswer(403, refusal.code, message, {
    rpcCode: RPC.forbidden,
    headers: {
      'www-authenticate': `Bearer error="insufficient_scope", error_description="${message.replaceAll('"', "'")}", scope="${scope}", resource_metadata="${bankMetadataUrl(frontDoor, bank)}"`,
    },
  });
}

/**
 * Protected-resource metadata (RFC 9728 section 2): a matter of configuration alone, so that it tells nobody whether a bank exists. Foreign
 * issuers that are trusted for a bank of this id by name come first: clients take the first, and ours has no authorization endpoint yet.
 */
export function metadataAnswer(frontDoor: string, bank: string, issuers: readonly IssuerConfig[]): Answer {
  const named = issuers.filter(({ banks }) => banks?.some((trusted) => trusted.endsWith(`/${bank}`)));
  const own = issuers.filter(({ issuer }) => issuer === frontDoor);
  return {
    status: 200,
    headers: { 'content-type': 'application/json', 'cache-control': 'public, max-age=300' },
    body: JSON.stringify({
      resource: bankUrl(frontDoor, bank),
      resource_name: `Bankhouse bank ${bank}`,
      authorization_servers: [...named, ...own].map(({ issuer }) => issuer),
      scopes_supported: ['mcp:read', 'mcp:write'] satisfies Scope[],
      bearer_methods_supported: ['header'],
    }),
  };
}
