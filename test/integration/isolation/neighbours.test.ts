/**
 * D3, D4, D5, D8: one bank does all it can to be in the way, and another one works on through its real server. In short; a minute of it, with
 * each nuisance and flood, is test/load/neighbours.ts.
 */
import { beforeAll, expect, it } from 'vitest';
import { measureNeighbours, type Neighbours } from './neighbours.ts';
import { NUISANCES } from './nuisances.ts';

const CHOSEN = NUISANCES.filter(({ name }) =>
  /pg_class is queued|just after the role|table of locks is filled|large objects/.test(name),
);
const CHOSEN_FLOODS = [
  'computes without a pause',
  'sorts in much memory and in temporary files',
  'notifies',
  'keeps transactions open and takes numbers',
  "calls what a bank may call, in its server's words",
];

let measured: Neighbours;
beforeAll(async () => {
  measured = await measureNeighbours({
    phaseMs: 2000,
    nuisances: CHOSEN.map(({ name }) => name),
    floods: CHOSEN_FLOODS,
  });
}, 180_000);

it('no call of the other bank fails', () => {
  expect(CHOSEN.length).toBe(4);
  expect(measured.phases.map(({ name, failed }) => [name, failed])).toEqual(
    measured.phases.map(({ name }) => [name, []]),
  );
  expect(measured.phases.every(({ calls }) => calls > 10)).toBe(true);
});

it('no call of it waits for longer than it takes to catch the attacker', () => {
  expect(measured.phases.filter(({ slowest }) => slowest > 2000).map(({ name, slowest }) => [name, slowest])).toEqual(
    [],
  );
});

it('whoever does what no bank server does is caught, and who only calls is not', () => {
  const caught = measured.phases.map(({ name, caughtMs }) => [name, caughtMs !== undefined]);
  expect(caught).toEqual([
    ...CHOSEN.map(({ name }) => [name, true]),
    ...CHOSEN_FLOODS.map((name) => [name, !name.startsWith('calls')]),
  ]);
});

it('the attacker is quarantined, and comes back when that is lifted once', () => {
  expect(measured.quarantinedFor).toMatch(/lock on a|statement that no bank server sends/);
  expect(measured.cameBack).toBe(true);
});
