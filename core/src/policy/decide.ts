import { SCOPES, type Scope } from '../scopes.ts';
import { type Access, mostAccess } from './access.ts';
import type { ToolLookup } from './catalogue.ts';

/** One thing that a request asks for. */
export interface Operation {
  /** MCP method. */
  readonly method: string;
  /** For `tools/call`: the tool's name as it was sent. */
  readonly tool: string | undefined;
  /** Names of tools that its arguments name one inside the other, for where that tool forwards calls; absent: none that can be read. */
  readonly named?: readonly string[];
  /** Of what has no method: whether it listens. */
  readonly listens?: true;
}

/** What the older revisions do without a method of their own: end a session (DELETE), answer the server. */
export const SESSION_OPERATION: Operation = { method: '', tool: undefined };
/** And this is a GET, which hears of what its caller may read. */
export const LISTEN_OPERATION: Operation = { ...SESSION_OPERATION, listens: true };

/** What a caller was given. */
export interface Grant {
  readonly scopes: readonly string[];
  /** Vaults that it may see; null: every vault of the bank. */
  readonly vaults: readonly string[] | null;
}

export interface Decision {
  readonly allowed: boolean;
  /**
   * Where it is not allowed: the scopes that the caller holds and needs, since a client takes those that it is told in place of those that it
   * has (P4). Never the operator's own.
   */
  readonly needed: readonly Scope[];
  /** As much as the operation does, and so as much as its assertion has to open. */
  readonly access: Access;
}

/** Methods that say only what the server is; any of our scopes opens them. */
const HANDSHAKE = new Set([
  SESSION_OPERATION.method,
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

const READ: readonly Scope[] = ['mcp:read'];
const WRITE: readonly Scope[] = ['mcp:write'];
const DATA: readonly Scope[] = ['mcp:read', 'mcp:write'];

/**
 * Whether a caller may have an operation carried out at a resource, by what the catalogue says of it and never by what its name looks like (G12).
 *
 * | operation                                        | needs one of                      | access                    |
 * |--------------------------------------------------|-----------------------------------|---------------------------|
 * | handshake, lists of what the server is           | any of ours, also `mcp:verify`    | none                      |
 * | what listens without a method                    | any of ours, also `mcp:verify`    | read, with `mcp:read`     |
 * | any other method, also one that nobody knows     | `mcp:read`                        | read                      |
 * | a tool that reads                                | `mcp:read`                        | read                      |
 * | a tool that writes                               | `mcp:write`                       | write                     |
 * | a tool whose arguments name another (`either`)   | what that one needs               | what that one needs       |
 * | the same, where nobody can read which            | `mcp:read`, `mcp:write`           | write, with `mcp:write`   |
 * | a tool that the catalogue doesn't have           | `mcp:read`, `mcp:write`           | read                      |
 *
 * The last one is for the bank to answer: no other scope would make the tool exist. Should the bank know it all the same, nothing is written.
 */
export function decide(
  resource: { readonly catalogue: { readonly tools: ToolLookup } },
  operation: Operation,
  grant: Grant,
): Decision {
  const { anyOf, access } = needOf(resource.catalogue.tools, operation, grant);
  const allowed = anyOf.some((scope) => grant.scopes.includes(scope));
  return { allowed, needed: allowed ? [] : heldAnd(anyOf[0], grant), access };
}

/** The same for all that one request asks for, which is carried out as a whole or not at all. */
export function decideAll(
  resource: { readonly catalogue: { readonly tools: ToolLookup } },
  operations: readonly Operation[],
  grant: Grant,
): Decision {
  const decisions = operations.map((operation) => decide(resource, operation, grant));
  return {
    allowed: decisions.every(({ allowed }) => allowed),
    needed: SCOPES.filter((scope) => decisions.some(({ needed }) => needed.includes(scope))),
    access: mostAccess(decisions.map(({ access }) => access)),
  };
}

/** The tool that a call comes to: itself, or the one that is named where it forwards. */
export function meantTool(tools: ToolLookup, { tool, named = [] }: Operation): string | undefined {
  let meant = tool;
  for (const name of named) {
    if (meant === undefined || tools.get(meant)?.access !== 'either') break;
    meant = name;
  }
  return meant;
}

/** Whether the catalogue has every tool that is asked for; one that it lacks may be newer than it. */
export function isKnown(tools: ToolLookup, operations: readonly Operation[]): boolean {
  return operations.every((operation) => {
    const tool = meantTool(tools, operation);
    return tool === undefined || tools.get(tool) !== undefined;
  });
}

function needOf(tools: ToolLookup, operation: Operation, grant: Grant): { anyOf: readonly Scope[]; access: Access } {
  const { method, listens } = operation;
  if (listens) return { anyOf: SCOPES, access: grant.scopes.includes('mcp:read') ? 'read' : 'none' };
  if (HANDSHAKE.has(method)) return { anyOf: SCOPES, access: 'none' };
  if (method !== 'tools/call') return { anyOf: READ, access: 'read' };
  const tool = meantTool(tools, operation);
  switch (tool === undefined ? undefined : tools.get(tool)?.access) {
    case 'read':
      return { anyOf: READ, access: 'read' };
    case 'write':
      return { anyOf: WRITE, access: 'write' };
    case 'either':
      return { anyOf: DATA, access: grant.scopes.includes('mcp:write') ? 'write' : 'read' };
    case undefined:
      return { anyOf: DATA, access: 'read' };
  }
}

function heldAnd(needed: Scope | undefined, { scopes }: Grant): Scope[] {
  return SCOPES.filter((scope) => scope !== 'mcp:verify' && (scope === needed || scopes.includes(scope)));
}
