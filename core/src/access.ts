import { requiredScopes } from './scopes.ts';

/** What a request may do with a bank's rows, each with what stands before it: `none` is enough to say what the server is. */
export const ACCESSES = ['none', 'read', 'write'] as const;
export type Access = (typeof ACCESSES)[number];

/**
 * What an operation needs.
 *
 * @param tool the tool's name, for `tools/call`
 */
export function neededAccess(method: string, tool?: string): Access {
  const anyOf = requiredScopes(method, tool);
  if (anyOf.includes('mcp:verify')) return 'none';
  return anyOf.includes('mcp:read') ? 'read' : 'write';
}

export function allows(has: Access, needed: Access): boolean {
  return ACCESSES.indexOf(has) >= ACCESSES.indexOf(needed);
}

/** What operations need that come together. */
export function mostAccess(accesses: readonly Access[]): Access {
  return accesses.reduce((most, one) => (allows(most, one) ? most : one), 'none');
}
