import type { Logger, ToolAccess, ToolProfile } from '@bankhouse/core';
import type {
  BlobResourceContents,
  CallToolResult,
  ContentBlock,
  Tool as ListedTool,
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

/** Of a tool that answers calls itself. */
type OwnAccess = Exclude<ToolAccess, 'either'>;

/** What every tool says of itself. */
interface Described {
  readonly name: string;
  readonly title: string;
  /** What it is for and when another tool is the better choice. */
  readonly description: string;
  /** What it does to rows; the gateway knows it by the catalogue (core, policy). `either`: its arguments say which tool is meant. */
  readonly access: ToolAccess;
  readonly annotations?: ToolAnnotations;
  /** Profiles whose tools/list has it; by default `full` and `compact`. It can be called in each of them all the same. */
  readonly listedIn?: readonly ToolProfile[];
  /** Name of a tool that does the same and more: where it is offered, `compact` lists that one alone. */
  readonly coveredBy?: string;
}

/**
 * A tool of the bank's own, as data. The schemas become JSON Schema when they are first asked for; `run` gets arguments that fit `input`, in
 * a transaction that is read-only when `access` is `read`, and throws ToolError for what a model can act on.
 *
 * A tool that needs somebody else's answer (an embeddings endpoint's) asks for it in `prepare`, which runs first and in no
 * transaction; what it resolves to is `prepared` of `run`. `batch` can't take such a tool, since all of it is one transaction.
 */
export interface LocalTool<I = unknown, O = unknown, P = void> extends Described {
  readonly place: 'local';
  readonly access: OwnAccess;
  readonly input: z.ZodType<I>;
  readonly output: z.ZodType<O>;
  /** What null means for arguments that can be emptied and not null; for any other that can't be null it is as left out. */
  readonly emptied?: Readonly<Record<string, unknown>>;
  prepare?(args: I, context: PrepareContext): Promise<P>;
  run(args: I, context: CallContext, prepared: P): Promise<ToolAnswer<O>>;
}

/** JSON Schema of an object, as tools/list has it. */
export type ObjectSchema = ListedTool['inputSchema'];

/** What a call of somebody else's tool may know. There is no transaction in it: such a call can take as long as that one likes. */
export interface RemoteContext {
  readonly bank: string;
  readonly caller: Caller;
  readonly logger: Logger;
  /** The caller went away. */
  readonly signal: AbortSignal;
}

/**
 * A tool that answers without the bank's database, above all one that another server runs. It never holds a connection of the database, not even while it waits. Arguments go to that server
 * as they came; its answer may be an error (`isError`). It throws ToolError for what a model can act on.
 */
export interface RemoteTool extends Described {
  readonly place: 'remote';
  readonly access: OwnAccess;
  readonly inputSchema: ObjectSchema;
  readonly outputSchema?: ObjectSchema;
  call(args: Readonly<Record<string, unknown>>, context: RemoteContext): Promise<CallToolResult>;
}

/** A call of another tool. */
export interface Forwarded {
  readonly tool: string;
  readonly args: unknown;
}

/**
 * A tool that stands for others: its arguments say which one is meant. The call needs the access of that one, is counted as its call and
 * answered by it; `access` is `either` where some of those read and some write.
 */
export interface ForwardingTool<I = unknown> extends Described {
  readonly place: 'forward';
  /** What it reads of its arguments itself; the others go on. */
  readonly input: z.ZodType<I>;
  /** For lists, all arguments that the tools behind it take. */
  inputSchema(): ObjectSchema;
  /** @throws ToolError for what names no tool */
  forward(args: I): Forwarded;
}

/** A tool that the registry has, told apart by `place`. */
export type Tool = LocalTool | RemoteTool | ForwardingTool;

/** Gives the schemas' types to `run`, and forgets them for lists of tools of any kind. */
export function defineTool<I, O, P = void>(tool: Omit<LocalTool<I, O, P>, 'place'>): LocalTool {
  return { ...tool, place: 'local' } as unknown as LocalTool;
}

/** As defineTool. */
export function defineForwarding<I>(tool: Omit<ForwardingTool<I>, 'place'>): ForwardingTool {
  return { ...tool, place: 'forward' } as unknown as ForwardingTool;
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
