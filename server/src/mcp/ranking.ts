import { KIND_WORDS, singular } from './vocabulary.ts';

/** What is read of a tool to find it. */
export interface Described {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  /** Names of its arguments. */
  readonly words: readonly string[];
}

/** How much a word counts by where it stands. */
const IN_NAME = 4;
const IN_TITLE = 2;
const ELSEWHERE = 1;
/** A word of which the other is only the beginning: `summar` of `summary`. */
const BEGINNING = 0.5;
const SHORTEST_BEGINNING = 4;

/** What people say for the verbs of our names. */
const VERBS: Readonly<Record<string, string>> = {
  add: 'create',
  make: 'create',
  new: 'create',
  write: 'create',
  insert: 'create',
  post: 'create',
  remove: 'delete',
  erase: 'delete',
  edit: 'patch',
  change: 'patch',
  modify: 'patch',
  rename: 'patch',
  set: 'patch',
  replace: 'update',
  overwrite: 'update',
  read: 'get',
  open: 'get',
  show: 'list',
  browse: 'list',
  fetch: 'get',
  lookup: 'search',
  find: 'search',
  filter: 'query',
  group: 'query',
  average: 'query',
  hide: 'archive',
  finish: 'complete',
  label: 'tag',
  related: 'suggest',
  similar: 'suggest',
  said: 'transcript',
  spoken: 'transcript',
};

/** Words that tell nothing of what a tool is for. */
const EMPTY = new Set(
  'a an the of to for in on with by and or is are be it its my me all some this that what which how i'.split(' '),
);

/** Tools whose words have been read, to be found again and again. */
export interface Ranking<T> {
  readonly tools: readonly T[];
  /**
   * The tools that the words are about, best first; only such as have one of them at all. A word counts by where it stands and by how few
   * tools have it.
   */
  find(query: string): T[];
}

export function rankingOf<T extends Described>(tools: readonly T[]): Ranking<T> {
  const documents = tools.map((tool) => ({ tool, weights: weightsOf(tool) }));
  return { tools, find: (query) => rank(documents, query) };
}

function rank<T extends Described>(
  documents: readonly { tool: T; weights: ReadonlyMap<string, number> }[],
  query: string,
): T[] {
  const scores = new Map<T, number>();
  for (const word of new Set(wordsOf(query).filter((each) => !EMPTY.has(each)))) {
    const hits = documents.map(({ weights }) => Math.max(weightOf(weights, word), weightOf(weights, meantWord(word))));
    const found = hits.filter((hit) => hit > 0).length;
    const rarity = Math.log(1 + documents.length / Math.max(found, 1));
    for (const [index, { tool }] of documents.entries()) {
      const hit = hits[index] ?? 0;
      if (hit > 0) scores.set(tool, (scores.get(tool) ?? 0) + hit * rarity);
    }
  }
  return [...scores]
    .toSorted(([a, one], [b, other]) => other - one || a.name.length - b.name.length)
    .map(([tool]) => tool);
}

function meantWord(word: string): string {
  return VERBS[word] ?? KIND_WORDS[word] ?? word;
}

function weightsOf({ name, title, description, words }: Described): ReadonlyMap<string, number> {
  const weights = new Map<string, number>();
  const add = (text: string, weight: number) => {
    for (const word of wordsOf(text)) weights.set(word, Math.max(weights.get(word) ?? 0, weight));
  };
  add(name, IN_NAME);
  add(title, IN_TITLE);
  add(`${description} ${words.join(' ')}`, ELSEWHERE);
  return weights;
}

function weightOf(weights: ReadonlyMap<string, number>, word: string): number {
  const exact = weights.get(word);
  if (exact !== undefined || word.length < SHORTEST_BEGINNING) return exact ?? 0;
  let best = 0;
  for (const [other, weight] of weights) {
    if (other.startsWith(word) || (other.length >= SHORTEST_BEGINNING && word.startsWith(other))) {
      best = Math.max(best, weight * BEGINNING);
    }
  }
  return best;
}

/** Small letters and digits, in the singular; `dueAt` is two words. */
function wordsOf(text: string): string[] {
  return text
    .replace(/(\p{Ll})(\p{Lu})/gu, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '')
    .map(singular);
}
