import type {
  Resource,
  ResourceTemplateType,
  TextResourceContents,
  ToolAnnotations,
} from '@modelcontextprotocol/server';
import type { z } from 'zod';
import type { Caller } from '../caller.ts';
import type { Transaction } from '../database/database.ts';

/** What a tool or a resource works with: one caller, one transaction. */
export interface CallContext {
  readonly bank: string;
  readonly bankName: string;
  readonly caller: Caller;
  readonly tx: Transaction;
}

/** What a tool answers: `structured` fits the tool's output schema, `text` says the same to a model, in few words. */
export interface ToolAnswer<O> {
  readonly structured: O;
  readonly text: string;
}

/**
 * One tool, as data. The schemas become JSON Schema once, at the start; `run` gets arguments that fit `input`, in a
 * transaction that is read-only when `access` is `read`, and throws ToolError for what a model can act on.
 */
export interface Tool<I = unknown, O = unknown> {
  readonly name: string;
  readonly title: string;
  /** What it is for and when another tool is the better choice. */
  readonly description: string;
  readonly access: 'read' | 'write';
  readonly annotations?: ToolAnnotations;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  run(args: I, context: CallContext): Promise<ToolAnswer<O>>;
}

/** Gives the schemas' types to `run`, and forgets them for lists of tools of any kind. */
export function defineTool<I, O>(tool: Tool<I, O>): Tool {
  return tool as unknown as Tool;
}

export interface ResourcePage {
  readonly resources: Resource[];
  /** Absent on the last page. */
  readonly nextCursor?: string;
}

/** Resources of one kind. */
export interface ResourceProvider {
  readonly templates: readonly ResourceTemplateType[];
  /** @param cursor one that this provider gave out */
  list(cursor: string | undefined, context: CallContext): Promise<ResourcePage>;
  /** Undefined for a URI that is another provider's, or of nothing that is there for this caller. */
  read(uri: string, context: CallContext): Promise<TextResourceContents | undefined>;
}

/** A group of tools and resources that a bank offers or not. Names of tools are unique over all toolsets. */
export interface Toolset {
  readonly name: string;
  /** One sentence or two for the server's instructions to a model. */
  readonly instructions: string;
  readonly tools: readonly Tool[];
  readonly resources: readonly ResourceProvider[];
}
