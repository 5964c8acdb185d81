/** Whether every word that was typed occurs in one of the texts, whatever the case. Nothing typed fits everything. */
export function fitsWords(typed: string, ...texts: readonly string[]): boolean {
  const all = texts.join(' ').toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => all.includes(word));
}

/** At most `length` characters, and … where there were more. */
export function cut(text: string, length: number): string {
  if (text.length <= length) return text;
  return `${text
    .slice(0, length - 1)
    .replace(/[\uD800-\uDBFF]$/, '')
    .trimEnd()}…`;
}

/** The text in one line. */
export function oneLine(text: string): string {
  return text.replace(/\s+/g, ' ').trim();
}
