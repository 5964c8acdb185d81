/** Scopes of a bank's token. `mcp:verify` is the operator's own: a handshake and lists, never data. */
export const SCOPES = ['mcp:read', 'mcp:write', 'mcp:verify'] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * `data.code` of the JSON-RPC error by which a bank server answers an operator's handshake (`mcp:verify`) while Postgres refuses its login: its
 * password is not the one in its Secret.
 */
export const DATABASE_LOGIN_REFUSED = 'database_login_refused';
