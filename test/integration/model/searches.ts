/** `search` against the model (R3.10): of words that rows hold, each token finds the rows that it sees, each once. */
import fc from 'fast-check';
import { allPages, type Move, type Played } from './answers.ts';
import { type Fields, KINDS, type Model, type Row, type Token } from './model.ts';
import { archived, counts, token } from './steps.ts';

const RECORDING_WORDS = ['call'];
const NOBODYS_WORD = 'heron';
/** Left out by English, in which rows without a language are read. */
const STOP_WORDS = ['a'];
const ALL = [...KINDS, 'recording'];

/** How two words make a query, and what it says of the words of a row. */
const FORMS: readonly [text: (a: string, b: string) => string, fits: (a: boolean, b: boolean) => boolean][] = [
  [(a) => a, (a) => a],
  [(a) => a, (a) => a],
  [(a, b) => `${a} ${b}`, (a, b) => a && b],
  [(a, b) => `${a} or ${b}`, (a, b) => a || b],
  [(a, b) => `${a} -${b}`, (a, b) => a && !b],
];
type Fits = (words: ReadonlySet<string>) => boolean;

/** Of words that rows of any vault hold: then a search finds some, and would tell of others. */
function queryOf(model: Model, [form, m, n]: readonly [number, number, number]): { text: string; fits: Fits } {
  const held = [...model.rows.values()].flatMap(wordsOf).filter((one) => !STOP_WORDS.includes(one));
  const words = [...new Set([...held, ...RECORDING_WORDS, NOBODYS_WORD])].sort();
  const [a, b] = [words[m % words.length] ?? '', words[n % words.length] ?? ''];
  const [text, fits] = FORMS[form] ?? [() => a, (first) => first];
  return { text: text(a, b), fits: (own) => fits(own.has(a), own.has(b)) };
}

export const search: fc.Arbitrary<Move> = fc
  .record({
    token,
    words: fc.tuple(fc.nat(FORMS.length - 1), fc.nat(200), fc.nat(200)),
    kinds: fc.constantFrom(undefined, undefined, ALL.slice(0, 2), ALL.slice(2), ['recording', 'note']),
    vault: fc.constantFrom(undefined, undefined, undefined, undefined, 'sales', 'support', 'elsewhere'),
    archived,
    limit: fc.constantFrom(3, 50),
  })
  .map(({ token: who, words, limit, ...asked }): Move => {
    return async (model, ask): Promise<Played> => {
      const { text, fits } = queryOf(model, words);
      const args = Object.fromEntries(
        Object.entries({ query: text, limit, ...asked }).filter(([, value]) => value !== undefined),
      );
      const expected = matches(model, who, fits, asked);
      const found = await allPages(ask, who, { name: 'search', args, list: 'results' });
      const misled = expected.length === 0 && asked.vault !== undefined && !model.hasVault(who, asked.vault);
      return {
        said: `${who.name}: search ${JSON.stringify(args)}`,
        outcome: expected.length === 0 ? 'search without hits' : 'search',
        actual: Array.isArray(found) ? found.map(({ kind, id }) => `${String(kind)} ${String(id)}`).sort() : found,
        expected: misled ? { code: 'not_found' } : expected,
      };
    };
  });

function matches(
  model: Model,
  who: Token,
  fits: Fits,
  asked: { kinds: readonly string[] | undefined; vault: string | undefined; archived: Parameters<typeof counts>[1] },
): string[] {
  const rows = KINDS.flatMap((of) => model.visible(who, of)).filter(
    (row) =>
      counts(row, asked.archived) &&
      (asked.vault === undefined || row.vaultId === asked.vault) &&
      fits(new Set(wordsOf(row))),
  );
  const recordings =
    asked.archived !== 'only' && fits(new Set(RECORDING_WORDS)) ? model.recordings(who, asked.vault) : [];
  return [...rows.map((row) => `${row.kind} ${row.id}`), ...recordings.map((id) => `recording ${id}`)]
    .filter((found) => asked.kinds?.includes(found.split(' ')[0] ?? '') ?? true)
    .sort();
}

function wordsOf({ fields }: Row): string[] {
  const { title, body, description, tags, participants } = fields as Fields & Record<string, string | string[]>;
  return [title, body, description, tags, participants]
    .flat()
    .flatMap((text) => (text === undefined ? [] : text.toLowerCase().split(/[^\p{L}\p{N}]+/u)))
    .filter((one) => one !== '');
}
