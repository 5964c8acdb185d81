import { BankhouseError, type ToolProfile } from '@bankhouse/core';
import type { ListToolsResult } from '@modelcontextprotocol/server';
import { parseForwarding } from './arguments.ts';
import { callTool, findTools, foundAmong } from './catalogue.ts';
import { listTool } from './listing.ts';
import { ToolError } from './tool-error.ts';
import type { LocalTool, RemoteTool, Tool } from './toolset.ts';
import { nearestNames } from './vocabulary.ts';

/** A tool that answers a call itself. */
export type AnsweringTool = LocalTool | RemoteTool;

/** What a call comes to, once nothing forwards it any more. */
export interface Meant {
  readonly tool: AnsweringTool;
  readonly args: unknown;
}

/** `call_tool` calls `create_entry`, which is `create_note`; nobody needs more, and each costs reading all arguments. */
const MAX_FORWARDS = 4;

const DEFAULT_PROFILES: readonly ToolProfile[] = ['full', 'compact'];

/**
 * The tools of a bank by name, and what each profile lists of them. `find_tools` and `call_tool` are always among them. It can be given
 * other tools while the server runs; a call that is under way keeps the tool that it began with.
 */
export class ToolRegistry {
  #tools: ReadonlyMap<string, Tool>;
  readonly #lists = new Map<ToolProfile, ListToolsResult>();
  readonly #listeners = new Set<() => void>();
  readonly #ours: readonly Tool[] = [findTools(this.derived(() => foundAmong(this.listed('full')))), callTool];

  /** @throws BankhouseError as `replace` does */
  constructor(tools: readonly Tool[]) {
    this.#tools = byName([...tools, ...this.#ours]);
  }

  get(name: string): Tool | undefined {
    return this.#tools.get(name);
  }

  has(name: string): boolean {
    return this.#tools.has(name);
  }

  all(): Tool[] {
    return [...this.#tools.values()];
  }

  /** What is made of the tools, when it is first asked for and when there have come others. */
  derived<T>(make: (tools: readonly Tool[]) => T): () => T {
    let made: { of: ReadonlyMap<string, Tool>; it: T } | undefined;
    return () => {
      if (made?.of !== this.#tools) made = { of: this.#tools, it: make(this.all()) };
      return made.it;
    };
  }

  /** Those that a profile lists, in the order in which they came. */
  listed(profile: ToolProfile): Tool[] {
    return this.all().filter(
      ({ listedIn = DEFAULT_PROFILES, coveredBy }) =>
        listedIn.includes(profile) && !(profile === 'compact' && coveredBy !== undefined && this.has(coveredBy)),
    );
  }

  /** The whole answer to tools/list, made when it is first asked for. */
  list(profile: ToolProfile): ListToolsResult {
    const known = this.#lists.get(profile) ?? {
      tools: this.listed(profile).map((tool) => listTool(tool, { titled: profile !== 'compact' })),
    };
    this.#lists.set(profile, known);
    return known;
  }

  /**
   * From now on these tools are offered, and no other. Who listens is told when what they could list has changed.
   *
   * @throws BankhouseError for two tools of one name; nothing has changed then
   */
  replace(tools: readonly Tool[]): void {
    const next = byName([...tools, ...this.#ours]);
    const before = this.#listeners.size === 0 ? '' : this.#shown();
    this.#tools = next;
    this.#lists.clear();
    if (this.#listeners.size === 0 || this.#shown() === before) return;
    for (const listener of this.#listeners) listener();
  }

  /** @returns ends the listening */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * The tool that answers a call of this one, with its arguments.
   *
   * @throws ToolError where a forwarding tool's arguments are wrong, name no tool, or forward and forward
   */
  meant(tool: Tool, args: unknown): Meant {
    let meant = { tool, args };
    for (let forwards = 0; meant.tool.place === 'forward'; forwards++) {
      if (forwards === MAX_FORWARDS) throw tooIndirect();
      const { tool: name, args: inner } = meant.tool.forward(parseForwarding(meant.tool, meant.args));
      meant = { tool: this.#named(name), args: inner };
    }
    return meant as Meant;
  }

  #named(name: string): Tool {
    const tool = this.#tools.get(name);
    if (tool !== undefined) return tool;
    const near = nearestNames(name, [...this.#tools.keys()]);
    const hint = near.length === 0 ? '' : ` Did you mean ${near.join(' or ')}?`;
    throw new ToolError(
      'not_found',
      `There is no tool ${JSON.stringify(name.slice(0, 128))}.${hint}`,
      'find_tools finds tools by words.',
      { field: 'name' },
    );
  }

  /** All that a list could show of the tools, in whatever profile. */
  #shown(): string {
    return JSON.stringify([this.list('full'), this.list('compact')]);
  }
}

function tooIndirect(): ToolError {
  return new ToolError(
    'invalid_argument',
    `The call is forwarded more than ${MAX_FORWARDS} times.`,
    'Name the tool that is meant instead of call_tool inside call_tool.',
    { field: 'name' },
  );
}

function byName(tools: readonly Tool[]): ReadonlyMap<string, Tool> {
  const named = new Map<string, Tool>();
  for (const tool of tools) {
    if (named.has(tool.name)) throw new BankhouseError('toolset_clash', `Two tools are named ${tool.name}.`);
    named.set(tool.name, tool);
  }
  return named;
}
