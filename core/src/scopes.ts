/** Scopes of a bank's token. `mcp:verify` is the operator's own: a handshake and lists, never data. */
export const SCOPES = ['mcp:read', 'mcp:write', 'mcp:verify'] as const;
export type Scope = (typeof SCOPES)[number];

/**
 * `data.code` of the JSON-RPC error by which a bank server answers an operator's handshake (`mcp:verify`) while Postgres refuses its login: its
 * password is not the one in its Secret.
 */
export const DATABASE_LOGIN_REFUSED = 'database_login_refused';

/** Methods that say only what the server is; any of our scopes opens them. */
const HANDSHAKE = new Set([
  'server/discover',
  'initialize',
  'ping',
  'tools/list',
  'resources/templates/list',
  'prompts/list',
  'notifications/initialized',
  'notifications/cancelled',
  'notifications/progress',
  'notifications/roots/list_changed',
  'logging/setLevel',
]);

const READ_TOOL = /^(list|get|search|query|semantic_search|suggest|find|count)(_|$)/;

/** Calls the tool that its arguments name. Whoever reads may call it; what that tool needs, the bank server looks at. */
export const CALL_TOOL = 'call_tool';

/** The scope that a tool needs: names that start with a reading verb need `mcp:read`, every other one `mcp:write`. */
export function toolScope(name: string): Scope {
  return READ_TOOL.test(name) || name === CALL_TOOL ? 'mcp:read' : 'mcp:write';
}

/**
 * The scopes of which a caller needs at least one.
 *
 * @param tool the tool's name, for `tools/call`
 */
export function requiredScopes(method: string, tool?: string): readonly Scope[] {
  if (HANDSHAKE.has(method)) return SCOPES;
  if (method === 'tools/call') return toolScope(tool ?? '') === 'mcp:read' ? ['mcp:read'] : ['mcp:write'];
  return ['mcp:read'];
}
