import { BUILT_IN_TOOLS } from './built-in.ts';

/** What a tool may need: `either` is one whose arguments say which tool is meant (`{name, arguments}`), so that its own name tells nothing. */
export type ToolAccess = 'read' | 'write' | 'either';

export interface CatalogueTool {
  readonly access: ToolAccess;
  /** `sha256:` and 64 hexadecimal digits, of all that the tool says of itself: another one is another tool. */
  readonly digest: string;
}

/** The tools that a bank offers, by their exact names. */
export interface Catalogue {
  /** Of it as a bank sent it; undefined: it is the built-in one. */
  readonly digest: string | undefined;
  readonly tools: ReadonlyMap<string, CatalogueTool>;
}

/** One that a bank sent. */
export type KnownCatalogue = Catalogue & { readonly digest: string };

/** As much of a catalogue's tools as a decision asks for; a bank server has it of the tools themselves. */
export interface ToolLookup {
  get(name: string): { readonly access: ToolAccess } | undefined;
}

/**
 * The tools of our own toolsets. It stands for a bank's catalogue until that is known: a bank that offers fewer of them answers itself that
 * there is no such tool.
 */
export const BUILT_IN_CATALOGUE: Catalogue = {
  digest: undefined,
  tools: new Map(Object.entries(BUILT_IN_TOOLS).map(([name, [access, digest]]) => [name, { access, digest }])),
};
