/**
 * Reads as much of SQL as is needed to tell code from words: https://www.postgresql.org/docs/current/sql-syntax-lexical.html
 * (section 4.1), with standard_conforming_strings on.
 */

export interface Statement {
  /** As it stands in the file, without the semicolon. */
  text: string;
  /** The same in lower case and single spaces, without comments and without what is quoted by ' or $. */
  code: string;
  /** Of its first word; from 1. */
  line: number;
}

const QUOTED =
  /--[^\n]*|\/\*|[eE]'(?:[^'\\]|\\[\s\S]|'')*'|'(?:[^']|'')*'|"(?:[^"]|"")*"|\$([A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/g;
const IN_A_WORD = /[\w$\u0080-\uffff]/;

/** The text with blanks for comments and for what is quoted by ' or $, letter by letter: places stay what they were. */
export function codeOf(text: string): string {
  let code = '';
  let done = 0;
  const search = new RegExp(QUOTED);
  for (let found = search.exec(text); found !== null; found = search.exec(text)) {
    const start = found.index;
    const before = text[start - 1] ?? ' ';
    const token = found[0];
    if ((token.startsWith('$') || /^e/i.test(token)) && IN_A_WORD.test(before)) {
      // `a$b$` is a name, `name'…'` no escape string: look again behind the first letter.
      search.lastIndex = start + 1;
      continue;
    }
    let end = start + token.length;
    if (token === '/*') end = endOfComment(text, start);
    else if (token.startsWith('$')) {
      const close = text.indexOf(token, end);
      end = close < 0 ? text.length : close + token.length;
    }
    const quoted = text.slice(start, end);
    code += text.slice(done, start) + (token.startsWith('"') ? quoted : quoted.replace(/[^\n]/g, ' '));
    done = end;
    search.lastIndex = end;
  }
  return code + text.slice(done);
}

/** Comments of this form nest. */
function endOfComment(text: string, start: number): number {
  let depth = 0;
  for (const { 0: token, index } of text.slice(start).matchAll(/\/\*|\*\//g)) {
    depth += token === '/*' ? 1 : -1;
    if (depth === 0) return start + index + 2;
  }
  return text.length;
}

/** Split at the semicolons between statements: not at those of a body in `begin atomic … end`. */
export function statementsOf(text: string): Statement[] {
  const code = codeOf(text);
  const statements: Statement[] = [];
  let start = 0;
  let depth = 0;
  const take = (end: number) => {
    const words = code.slice(start, end);
    if (words.trim() !== '') {
      const first = start + words.search(/\S/);
      statements.push({
        text: text.slice(first, end).trim(),
        code: words.trim().replace(/\s+/g, ' ').toLowerCase(),
        line: lineAt(text, first),
      });
    }
    start = end + 1;
  };
  for (const { 0: token, index } of code.matchAll(/;|"[^"]*"|\b(?:begin\s+atomic|case|end)\b/gi)) {
    if (token === ';') {
      if (depth === 0) take(index);
    } else if (/^begin/i.test(token)) depth = 1;
    else if (depth > 0 && /^case$/i.test(token)) depth += 1;
    else if (depth > 0 && /^end$/i.test(token)) depth -= 1;
  }
  take(code.length);
  return statements;
}

/** @param place index into the text; @returns from 1 */
export function lineAt(text: string, place: number): number {
  return text.slice(0, place).split('\n').length;
}
