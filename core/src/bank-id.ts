/** A bank's id: a DNS label (RFC 1123) of at most 40 characters. Everything named after a bank is named through it. */
export const BANK_ID_PATTERN = /^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/;
export const BANK_ID_MAX_LENGTH = 40;

/** A vault's id: same form as a bank's, unique in its bank. */
export const VAULT_ID_PATTERN = BANK_ID_PATTERN;

export function isBankId(value: string): boolean {
  return BANK_ID_PATTERN.test(value);
}

const MCP_PREFIX = '/mcp/bank-';
const METADATA_PREFIX = '/.well-known/oauth-protected-resource';

/** Path of a bank's MCP endpoint, `/mcp/bank-<id>` (R1.1). */
export function bankPath(id: string): string {
  return `${MCP_PREFIX}${id}`;
}

/** URL of a bank's MCP endpoint, which is also the audience of its tokens (RFC 8707). `frontDoor` has no trailing slash. */
export function bankUrl(frontDoor: string, id: string): string {
  return `${frontDoor}${bankPath(id)}`;
}

/** URL of a bank's protected-resource metadata: the well-known segment goes in front of the path (RFC 9728 section 3.1). */
export function bankMetadataUrl(frontDoor: string, id: string): string {
  return `${frontDoor}${METADATA_PREFIX}${bankPath(id)}`;
}

/**
 * What a raw request target (path and query as sent, not decoded) asks for.
 *
 * Exact bytes only: an encoded or doubled separator, a dot segment, a trailing slash or an upper-case letter makes it
 * `undefined`, never something that is then normalized into a bank.
 */
export function parseBankTarget(target: string): { kind: 'mcp' | 'metadata'; id: string } | undefined {
  const query = target.indexOf('?');
  const path = query === -1 ? target : target.slice(0, query);
  const kind = path.startsWith(METADATA_PREFIX) ? 'metadata' : 'mcp';
  const rest = kind === 'metadata' ? path.slice(METADATA_PREFIX.length) : path;
  if (!rest.startsWith(MCP_PREFIX)) return undefined;
  const id = rest.slice(MCP_PREFIX.length);
  return isBankId(id) ? { kind, id } : undefined;
}
