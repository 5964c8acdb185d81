import type { Logger } from '@bankhouse/core';
import type {
  BlobResourceContents,
  ContentBlock,
  PromptMessage,
  Resource,
  ResourceTemplateType,
  TextResourceContents,
  ToolAnnotations,
} from '@modelcontextprotocol/server';
import type { z } from 'zod';
import type { Caller } from '../caller.ts';
import type { Transaction } from '../database/transaction.ts';

/** What a tool or a resource works with: one caller, and the database as that caller sees it. */
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
  /** What text can't say, after it: images, sounds, embedded resources. */
  readonly content?: readonly ContentBlock[];
}

/** What a tool works with before its transaction, while it waits for others than the database. */
export interface PrepareContext {
  readonly bank: string;
  readonly caller: Caller;
  readonly logger: Logger;
  /** The caller went away. */
  readonly signal: AbortSignal;
  /** One transaction as the caller, over when this settles: no connection is held while something else is waited for. */
  transaction<T>(access: 'read' | 'write', work: (context: CallContext) => Promise<T>): Promise<T>;
}

/**
 * One tool, as data. The schemas become JSON Schema once, at the start; `run` gets arguments that fit `input`, in a
 * transaction that is read-only when `access` is `read`, and throws ToolError for what a model can act on.
 *
 * A tool that needs somebody else's answer (an embeddings endpoint's) asks for it in `prepare`, which runs first and in no
 * transaction; what it resolves to is `prepared` of `run`. `batch` can't take such a tool, since all of it is one transaction.
 */
export interface Tool<I = unknown, O = unknown, P = void> {
  readonly name: string;
  readonly title: string;
  /** What it is for and when another tool is the better choice. */
  readonly description: string;
  readonly access: 'read' | 'write';
  readonly annotations?: ToolAnnotations;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** What null means for arguments that can be emptied and not null; for any other that can't be null it is as left out. */
  readonly emptied?: Readonly<Record<string, unknown>>;
  /** Left out of tools/list: it only says why it can't work. */
  readonly hidden?: boolean;
  prepare?(args: I, context: PrepareContext): Promise<P>;
  run(args: I, context: CallContext, prepared: P): Promise<ToolAnswer<O>>;
}

/** Gives the schemas' types to `run`, and forgets them for lists of tools of any kind. */
export function defineTool<I, O, P = void>(tool: Tool<I, O, P>): Tool {
  return tool as unknown as Tool;
}

export interface ResourcePage {
  readonly resources: Resource[];
  /** Absent on the last page. */
  readonly nextCursor?: string;
}

/** What somebody who completes an argument has to go by. */
export interface CompletionContext extends CallContext {
  /** Arguments that were already given, by name. */
  readonly given: Readonly<Record<string, string>>;
}

/** At most 100 values for what a person has typed so far, best first; `more` when there are others. */
export interface Completion {
  readonly values: readonly string[];
  readonly more?: boolean;
}

/** Finds values among what the caller may see, for `typed`, which may be empty. */
export type Completer = (typed: string, context: CompletionContext) => Promise<Completion> | Completion;

/** Resources of one kind that are listed, and as many in a page. */
export const MAX_LISTED = 300;
export const LISTED_A_PAGE = 100;

/** Resources of one kind. */
export interface ResourceProvider {
  /** Few, and good to see first: they stand in front of the others in resources/list. */
  readonly inFront?: boolean;
  readonly templates: readonly ResourceTemplateType[];
  /** For variables of the templates; `bank` completes itself. */
  readonly complete?: Readonly<Record<string, Completer>>;
  /**
   * The newest `MAX_LISTED` at most: clients read all pages of resources/list at once, and the SDK's own gives up after 64. What is
   * older is found by tools and read by a template.
   *
   * @param cursor one that this provider gave out
   */
  list(cursor: string | undefined, context: CallContext): Promise<ResourcePage>;
  /** Undefined for a URI that is another provider's, or of nothing that is there for this caller. */
  read(uri: string, context: CallContext): Promise<TextResourceContents | BlobResourceContents | undefined>;
}

/** A prompt's arguments as zod sees them: all of them texts, as the protocol has it. */
export type PromptInput = z.ZodObject<Record<string, z.ZodType<string | undefined>>>;

/**
 * One prompt, as data: what a person picks from a menu, with the bank's own rows in it. Descriptions of arguments are the
 * `meta` of `input`; one is required unless it may be left out. `messages` runs in a read-only transaction, gets arguments that
 * fit `input`, and throws ToolError for what the person can act on.
 */
export interface Prompt<I extends PromptInput = PromptInput> {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Tools that its messages speak of. It is offered where all of them are. */
  readonly uses: readonly string[];
  readonly input: I;
  readonly complete: { readonly [name in keyof z.output<I>]?: Completer };
  messages(args: z.output<I>, context: CallContext): Promise<PromptMessage[]>;
}

/** Gives the arguments' types to `messages`, and forgets them for lists of prompts of any kind. */
export function definePrompt<I extends PromptInput>(prompt: Prompt<I>): Prompt {
  return prompt as unknown as Prompt;
}

/** A group of tools, resources and prompts that a bank offers or not. Names are unique over all toolsets. */
export interface Toolset {
  readonly name: string;
  /** One sentence or two for the server's instructions to a model; empty where there is nothing to say. */
  readonly instructions: string;
  readonly tools: readonly Tool[];
  readonly resources: readonly ResourceProvider[];
  readonly prompts?: readonly Prompt[];
}
