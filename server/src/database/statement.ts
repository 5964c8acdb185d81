declare const registered: unique symbol;

/**
 * What a bank server sends to Postgres. The watchdog ends sessions that send anything else (docs/adr/0036), so there is none but by
 * `statement`, made once, as a constant of a module: `npm run generate` tells the database of all of them.
 */
export interface Statement {
  /** With a name it is parsed once a connection; without, every time. */
  readonly name?: string;
  readonly text: string;
  readonly [registered]: true;
}

/**
 * Postgres shows a byte more of a statement, unless it was configured so. Of a longer one nobody would know the end: have a function do
 * what it does.
 */
const MAX_SHOWN = 1022;
const texts = new Set<string>();

/** Values are parameters: a text that differed from call to call would be nobody's. */
export function statement(given: { readonly name?: string; readonly text: string }): Statement {
  if (!/^[\n -~]+$/.test(given.text)) throw new Error(`Not of ASCII alone: ${given.text}`);
  if (given.text.length > MAX_SHOWN) throw new Error(`Too long to be shown: ${given.text}`);
  texts.add(given.text);
  return given as Statement;
}

/** Texts of the statements of all modules that were loaded. */
export function statementTexts(): readonly string[] {
  return [...texts].toSorted();
}

/** The one text with a value in it, since LISTEN takes no parameters. migrations/tenants/functions/watchdog_statements.sql knows its form. */
export function listenText(channel: string): string {
  return `unlisten *; listen "${channel.replaceAll('"', '""')}"`;
}
