/**
 * `batch` against the model (R3.9): operations are tried on a copy of it, under ids that stand for those that the tools will give,
 * which are sent as references; then all of it happens to the model, or nothing.
 */
import fc from 'fast-check';
import { type Ask, type Move, type Played, told, wanted } from './answers.ts';
import type { Fields, Model, Token } from './model.ts';
import { operation, type Planner, token } from './steps.ts';

interface Draw {
  readonly token: Token;
  /** Of each operation, what it can be. */
  readonly choices: readonly (readonly Planner[])[];
  /** Takes of each operation the first choice that succeeds; without, the first, so that most batches fail. */
  readonly careful: boolean;
  /** Versions of rows that earlier operations changed are sent as references too. */
  readonly links: boolean;
  /** Place of an operation with a reference to nothing. */
  readonly lost: number | undefined;
  readonly dryRun: boolean;
  readonly key: string | undefined;
}

interface Operation {
  readonly tool: string;
  readonly as: string;
  readonly arguments: Fields;
}
interface Trial {
  readonly planners: readonly Planner[];
  readonly operations: readonly Operation[];
  readonly results: readonly Fields[];
  readonly failure: { index: number; tool: string; code: string } | undefined;
}

const standIn = (index: number) => `00000000-0000-4000-8000-0000000b${String(index).padStart(4, '0')}`;

export const batch: fc.Arbitrary<Move> = fc
  .record({
    token,
    choices: fc.array(fc.tuple(operation, operation, operation), { minLength: 1, maxLength: 5 }),
    careful: fc.constantFrom(true, true, false),
    links: fc.boolean(),
    lost: fc.oneof({ weight: 9, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.nat(2) }),
    dryRun: fc.constantFrom(false, false, false, true),
    key: fc.constantFrom(undefined, undefined, 'k1', 'b1', 'b2', 'b3'),
    again: fc.constantFrom(false, false, true),
  })
  .map(({ again, ...draw }): Move => {
    return (model, ask) => {
      const last = model.lastBatch;
      return again && last?.by.sub === draw.token.sub
        ? sendAgain(model, ask, draw.token, last)
        : sendNew(model, ask, draw);
    };
  });

async function sendNew(model: Model, ask: Ask, draw: Draw): Promise<Played> {
  const key = draw.dryRun ? undefined : draw.key;
  const trial = tryOut(model, draw, key);
  const { operations, planners, failure } = trial;
  const args = {
    operations,
    ...(draw.dryRun ? { dryRun: true } : {}),
    ...(draw.key === undefined ? {} : { idempotencyKey: draw.key }),
  };
  const said = `${draw.token.name}: batch ${JSON.stringify(args)}`;
  const answered = await ask(draw.token, 'batch', args);
  const digest = JSON.stringify(operations);
  const known = key === undefined ? undefined : model.clone().claimBatch(draw.token, key, digest);
  if (known !== undefined) return { said, ...claimed(known, answered) };
  if (failure !== undefined) {
    const { code, operation: failed } = answered;
    return {
      said,
      outcome: 'batch failed',
      actual: { code, operation: failed, results: answered.results },
      expected: { code: 'batch_failed', operation: failure, results: undefined },
    };
  }
  const results = (answered.results ?? []) as { result: Fields }[];
  const expected = trial.results.map((result, index) => ({
    tool: operations[index]?.tool,
    as: operations[index]?.as,
    result: named(result, results),
  }));
  if (!draw.dryRun && answered.results !== undefined) {
    if (key !== undefined) model.claimBatch(draw.token, key, digest);
    for (const [index, planner] of planners.entries()) {
      planner(model, draw.token).expected(results[index]?.result ?? {});
    }
    if (key !== undefined) {
      model.keepBatch(draw.token, key, digest, expected);
      model.lastBatch = { by: draw.token, args, key, digest };
    }
  }
  return {
    said,
    outcome: draw.dryRun ? 'dry run' : 'batch',
    actual: shown(answered),
    expected: { results: expected, dryRun: draw.dryRun, replayed: false, code: undefined },
  };
}

/** The same operations under the same key, perhaps by the same person's other token. */
async function sendAgain(
  model: Model,
  ask: Ask,
  by: Token,
  { args, key, digest }: NonNullable<Model['lastBatch']>,
): Promise<Played> {
  const said = `${by.name}: the last batch again`;
  const answered = await ask(by, 'batch', args);
  const known = model.clone().claimBatch(by, key, digest);
  if (known === undefined) throw new Error('the model has forgotten a batch');
  return { said, ...claimed(known, answered) };
}

function claimed(known: readonly Fields[] | 'conflict', answered: Fields): Omit<Played, 'said'> {
  const expected =
    known === 'conflict'
      ? { results: undefined, dryRun: undefined, replayed: undefined, code: 'conflict' }
      : { results: known, dryRun: false, replayed: true, code: undefined };
  return { outcome: known === 'conflict' ? 'batch conflict' : 'batch replayed', actual: shown(answered), expected };
}

function shown({ results, dryRun, replayed, code }: Fields): Fields {
  return {
    results: (results as { tool: string; as: string; result: Fields }[] | undefined)?.map(({ tool, as, result }) => ({
      tool,
      as,
      result: told(result),
    })),
    dryRun,
    replayed,
    code,
  };
}

/** What the operations are, in the state that those before them leave behind, and what they answer. */
function tryOut(model: Model, { token: by, choices, careful, links, lost }: Draw, key: string | undefined): Trial {
  const copy = model.clone();
  if (key !== undefined) copy.claimBatch(by, key, '');
  const succeeds = (planner: Planner) => planner(copy.clone(), by).expected({ id: standIn(0) }).ok;
  const planners: Planner[] = [];
  const operations: Operation[] = [];
  const results: Fields[] = [];
  const versions = new Map<unknown, { version: unknown; as: string }>();
  let failure: Trial['failure'];
  for (const [index, [first, ...others]] of choices.entries()) {
    const planner =
      (careful ? [first, ...others].find((one) => one !== undefined && succeeds(one)) : undefined) ?? first;
    if (planner === undefined) continue;
    planners.push(planner);
    const { name, args, expected } = planner(copy, by);
    const as = `r${index}`;
    const sent = index === lost ? { ...args, id: { $result: 'nobody.id' } } : referring(args, links, versions);
    operations.push({ tool: name, as, arguments: sent });
    // What comes after the first failure is sent as well, and does not happen.
    if (failure !== undefined) continue;
    const result = index === lost ? undefined : expected({ id: standIn(index) });
    if (result?.ok !== true) {
      failure = { index, tool: name, code: result?.code ?? 'invalid_argument' };
      continue;
    }
    results.push(wanted(result));
    if (result.deleted === undefined) versions.set(result.row.id, { version: result.row.version, as });
  }
  return { planners, operations, results, failure };
}

function referring(
  args: Fields,
  links: boolean,
  versions: ReadonlyMap<unknown, { version: unknown; as: string }>,
): Fields {
  const known = links ? versions.get(args.id) : undefined;
  return Object.fromEntries(
    Object.entries(args).map(([name, value]) => {
      const index = /^00000000-0000-4000-8000-0000000b(\d{4})$/.exec(String(value))?.[1];
      if (index !== undefined) return [name, { $result: `r${Number(index)}.id` }];
      return name === 'version' && known?.version === value
        ? [name, { $result: `${known?.as}.version` }]
        : [name, value];
    }),
  );
}

/** With the ids that the tools gave instead of those that stood for them. */
function named(result: Fields, answered: readonly { result: Fields }[]): Fields {
  const { id, ...rest } = result;
  const index = answered.findIndex((_, at) => standIn(at) === id);
  return { id: index < 0 ? id : answered[index]?.result.id, ...rest };
}
