/** Hostile clients beside honest ones, in short; test/load/hostile.ts measures how long these then wait. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { Attack } from '../../load/hostile-clients.ts';
import { measureHostile, memoryLimit, type Phase } from '../../load/hostile-run.ts';

/** Each with what its clients are answered, by turns or at times. */
const ATTACKS: readonly { attack: Attack; always: readonly string[]; maybe?: readonly string[] }[] = [
  // Slots for 64 of 200.
  { attack: 'slow bodies of one subject', always: ['503 caller_overloaded'] },
  { attack: 'slow bodies of 200 subjects', always: [] },
  { attack: 'bodies in single bytes', always: ['closed'] },
  { attack: 'slow readers', always: [] },
  {
    attack: 'forged tokens',
    always: ['401 token_algorithm', '401 token_expired', '401 token_signature', '503 issuer_keys_stale'],
    // An unknown key, when the issuer was last asked ten seconds ago.
    maybe: ['401 token_key'],
  },
];
/** The gateway is one for all of them: so much of its memory that is waste of one attack is there for the next to find. */
const phases = new Map<string, Phase>();

beforeAll(async () => {
  const measured = await measureHostile({
    phases: {
      ...Object.fromEntries(ATTACKS.map(({ attack }) => [attack, [attack]])),
      'all together': ATTACKS.map(({ attack }) => attack).filter((attack) => attack !== 'slow bodies of 200 subjects'),
    },
    turns: 1,
    calls: 50,
    warmUp: 10,
  });
  for (const phase of measured) phases.set(phase.name, phase);
  // Some 15 s on a machine of its own.
}, 300_000);

describe('hostile clients', () => {
  it.each([...ATTACKS.map(({ attack }) => attack), 'all together'])(
    'no honest call fails, and the gateway stays in its memory: %s',
    (name) => {
      const phase = phases.get(name);
      expect(phase?.honest.map(({ name: who, failed }) => [who, failed])).toEqual([
        ['another subject of the bank', []],
        ['a subject of another bank', []],
      ]);
      expect(phase?.peakBytes).toBeLessThan(memoryLimit());
    },
  );

  it.each(ATTACKS)('are answered as they should be: $attack', ({ attack, always, maybe = [] }) => {
    const answers = Object.keys(phases.get(attack)?.answers ?? {}).filter((what) => !maybe.includes(what));
    expect(answers.sort()).toEqual(always);
  });
});
