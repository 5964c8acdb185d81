/** What a step can do, drawn at random: the eight tools of each entity, as a plan that is made when the state is known. */
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { IN_BOTH, IN_SALES, LEGACY } from '../workspace/support.ts';
import { ACTIONS, type Fields, KINDS, type Kind, type Model, type Result, type Row, type Token } from './model.ts';

/** Two tokens of one vault each and one of all; the first and the last are the same person's. */
export const TOKENS: readonly Token[] = [
  { name: 'sales', sub: 'ann', vaults: ['sales'] },
  { name: 'support', sub: 'ben', vaults: ['support'] },
  { name: 'all', sub: 'ann', vaults: null },
];
export const RECORDINGS = new Map([
  [IN_SALES, ['sales']],
  [IN_BOTH, ['sales', 'support']],
  [LEGACY, ['support']],
]);

/** The call of one tool. */
export interface Plan {
  readonly name: string;
  readonly args: Fields;
  /** Does the same to the model. */
  readonly expected: (answered: Fields) => Result;
}
/** Whether archived rows count. */
type Archived = 'exclude' | 'include' | 'only';
export const counts = (row: Row, which: Archived) => which === 'include' || row.archived === (which === 'only');

/** Depends on the model's state alone, so it is the same for the same state. */
export type Planner = (model: Model, token: Token) => Plan;

/**
 * Mostly the id of a row that the token sees; each fourth time any that was ever made, of whatever vault and perhaps gone. One
 * that never was, where there is none.
 */
function idOf(model: Model, who: Token, kind: Kind, n: number): string {
  const ids = n % 4 === 0 ? model.known.filter((one) => one.kind === kind) : model.visible(who, kind);
  return ids[Math.floor(n / 4) % Math.max(1, ids.length)]?.id ?? '00000000-0000-4000-8000-0000000000ff';
}

/** The version that the row has, or one before it. */
const versionOf = (model: Model, id: string, behind: number) =>
  Math.max(1, (model.rows.get(id)?.version ?? 1) - behind);

export const token = fc.constantFrom(...TOKENS);
export const kind = fc.constantFrom(...KINDS);
export const archived = fc.constantFrom<Archived>('exclude', 'exclude', 'include', 'include', 'include', 'only');
const place = fc.nat(39);
/** Mostly the right version. */
const behind = fc.constantFrom(0, 0, 0, 1);
/** Mostly left out: then a new row is in the only vault of a token, and one that is there stays where it is. */
export const vault = fc.oneof(
  { weight: 2, arbitrary: fc.constant(undefined) },
  { weight: 2, arbitrary: fc.constantFrom('sales', 'support', 'elsewhere', null) },
);
const word = fc.constantFrom('one', 'two', 'one two', 'zwölf', 'a "quoted" text', '%_\\');
const recording = fc.oneof(
  { weight: 2, arbitrary: fc.constantFrom(null, undefined) },
  { weight: 1, arbitrary: fc.constantFrom(IN_SALES, IN_BOTH, LEGACY, '00000000-0000-4000-8000-0000000000aa') },
);

/** Fields that say something of this kind; what is undefined is left out. */
function content(of: Kind, text: string, recordingId: string | null | undefined, whole: boolean): Fields {
  const required: Fields =
    of === 'comment' || of === 'chat_message' ? { body: text } : whole ? { title: text } : { tags: [text] };
  const about = of === 'comment' || of === 'chat_message' || recordingId === undefined ? {} : { recordingId };
  return { ...required, ...about };
}

const create: fc.Arbitrary<Planner> = fc
  .record({
    kind,
    vault,
    text: word,
    recording,
    parent: place,
    about: kind,
    reply: fc.option(place),
    key: fc.constantFrom(undefined, undefined, 'k1', 'k2'),
  })
  .map(
    (draw): Planner =>
      (model, who) => {
        const args = newRow(model, who, draw);
        return {
          name: `create_${draw.kind}`,
          args: { ...args, ...(draw.key === undefined ? {} : { idempotencyKey: draw.key }) },
          expected: (answered) =>
            model.create(who, draw.kind, args, draw.key, () => String(answered.id ?? randomUUID())),
        };
      },
  );

interface Draw {
  kind: Kind;
  vault: string | null | undefined;
  text: string;
  recording: string | null | undefined;
  parent: number;
  about: Kind;
  reply: number | null;
}

function newRow(model: Model, who: Token, draw: Draw): Fields {
  const base = content(draw.kind, draw.text, draw.recording ?? undefined, true);
  if (draw.kind === 'chat_message') {
    const replyTo =
      draw.reply === null || draw.reply > 12 ? {} : { replyTo: idOf(model, who, 'chat_message', draw.reply) };
    return { ...base, chatId: idOf(model, who, 'chat', draw.parent), ...replyTo };
  }
  const given = draw.vault === undefined ? {} : { vaultId: draw.vault };
  if (draw.kind !== 'comment') return { ...base, ...given };
  if (draw.about === 'comment' || draw.about === 'chat_message') {
    return {
      ...base,
      parentKind: 'recording',
      parentId: draw.recording ?? IN_BOTH,
      ...(draw.vault === 'elsewhere' ? {} : given),
    };
  }
  return { ...base, parentKind: draw.about, parentId: idOf(model, who, draw.about, draw.parent) };
}

const change: fc.Arbitrary<Planner> = fc
  .record({ kind, row: place, behind, vault, text: word, recording, whole: fc.boolean() })
  .map(
    (draw): Planner =>
      (model, who) => {
        const id = idOf(model, who, draw.kind, draw.row);
        const version = versionOf(model, id, draw.behind);
        const moves = draw.kind !== 'comment' && draw.kind !== 'chat_message' && draw.vault !== undefined;
        const args = {
          ...content(draw.kind, draw.text, draw.recording, draw.whole),
          ...(moves ? { vaultId: draw.vault } : {}),
        };
        return {
          name: `${draw.whole ? 'update' : 'patch'}_${draw.kind}`,
          args: { id, version, ...args },
          expected: () => model.change(who, draw.kind, id, version, args, draw.whole),
        };
      },
  );

const remove: fc.Arbitrary<Planner> = fc.record({ kind, row: place, behind: fc.constantFrom(undefined, 0, 1) }).map(
  (draw): Planner =>
    (model, who) => {
      const id = idOf(model, who, draw.kind, draw.row);
      const version = draw.behind === undefined ? undefined : versionOf(model, id, draw.behind);
      return {
        name: `delete_${draw.kind}`,
        args: { id, ...(version === undefined ? {} : { version }) },
        expected: () => model.delete(who, draw.kind, id, version),
      };
    },
);

const archive: fc.Arbitrary<Planner> = fc.record({ kind, row: place, archived: fc.boolean() }).map(
  (draw): Planner =>
    (model, who) => {
      const id = idOf(model, who, draw.kind, draw.row);
      return {
        name: `archive_${draw.kind}`,
        args: { id, archived: draw.archived },
        expected: () => model.archive(who, draw.kind, id, draw.archived),
      };
    },
);

const process: fc.Arbitrary<Planner> = fc
  .record({ kind, row: place, action: fc.nat(3), behind: fc.constantFrom(undefined, undefined, 0, 1) })
  .map(
    (draw): Planner =>
      (model, who) => {
        const id = idOf(model, who, draw.kind, draw.row);
        const names = Object.keys(ACTIONS[draw.kind]);
        const action = names[draw.action % names.length] ?? '';
        const version = draw.behind === undefined ? undefined : versionOf(model, id, draw.behind);
        return {
          name: `process_${draw.kind}`,
          args: { id, action, ...(version === undefined ? {} : { version }) },
          expected: () => model.process(who, draw.kind, id, action, version),
        };
      },
  );

/** One tool of an entity that writes. */
export const operation = fc.oneof(create, create, create, change, change, remove, archive, process, process);
