/** Who moves a bank is killed at every step: the next try brings it to its end, and at no moment two databases take a write. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { MoveStep } from '../../../operator/src/moving/index.ts';
import { createBank } from '../../harness/postgres.ts';
import { VAULTS } from '../database/support.ts';
import { addNote, fill, moving, type Place, type Places, rowsOfBank, startPlaces, stateAt, titles } from './support.ts';

const MOVER = new URL('mover.ts', import.meta.url).pathname;
const FREEZE_MS = 1_500;

let places: Places;
beforeAll(async () => {
  places = await startPlaces();
}, 60_000);
afterAll(() => places?.[Symbol.asyncDispose]());

/** @returns whether the switch was made before the end */
async function killedAt(step: MoveStep, options: object): Promise<boolean> {
  const argument = JSON.stringify({ ...options, killAt: step });
  const child = spawn(process.execPath, [MOVER, argument], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said, [, signal]] = await Promise.all([text(child.stdout), once(child, 'exit')]);
  expect(signal).toBe('SIGKILL');
  return said.includes('switched');
}

/** @param writes who takes writes: at once, when the freeze is over, or after the next try */
const STEPS: [step: MoveStep, writes: 'at once' | 'after the freeze' | 'after the next try'][] = [
  ['beginning', 'at once'],
  ['copying', 'at once'],
  ['freezing', 'at once'],
  ['frozen', 'after the freeze'],
  ['verified', 'after the freeze'],
  ['sealed', 'after the next try'],
  ['switched', 'after the next try'],
  ['left', 'after the next try'],
  ['arrived', 'at once'],
];

describe('killed', () => {
  it.each(STEPS)('at %s, writes are taken %s, and the next try ends the move', async (step, writes) => {
    const { shared, own } = places;
    const bank = await createBank(places.postgres, `killed-${step.replace('_', '-')}`, { vaults: VAULTS });
    await fill(places.postgres, bank, { calls: 12, notes: 8, chats: 4, messages: 8 });
    const before = await rowsOfBank(shared, bank.id);
    const { options } = moving(bank, shared, own, { freezeMs: FREEZE_MS });
    const switched = await killedAt(step, options);

    const takes = async (place: Place, title: string) => {
      const taken = await addNote(bank, place, title).then(
        () => true,
        () => false,
      );
      return taken ? [title] : [];
    };
    const attempted = [...(await takes(shared, 'at the source')), ...(await takes(own, 'at the target'))];
    if (writes === 'at once') expect(attempted).toHaveLength(1);
    else expect(attempted).toEqual([]);
    if (writes === 'after the freeze') {
      await vi.waitFor(() => addNote(bank, shared, 'behind the freeze'), { timeout: 5 * FREEZE_MS, interval: 50 });
      attempted.push('behind the freeze');
      expect(await takes(own, 'at the target')).toEqual([]);
    }

    await moving(bank, shared, own, { switched, ...(switched && { move: options.move }) }).run();

    expect((await titles(bank, own)).filter((title) => /^(at|behind) the/.test(title))).toEqual(attempted);
    expect([await stateAt(shared, bank.id), await stateAt(own, bank.id)]).toEqual(['gone', undefined]);
    const after = await rowsOfBank(own, bank.id);
    for (const table of [
      'recordings',
      'search_documents',
      'vault_entries',
      'chat_messages',
      'call_counts',
      'embeddings',
    ]) {
      expect(after[table]).toEqual(before[table]);
    }
    expect(after.notes).toHaveLength((before.notes?.length ?? 0) + attempted.length);
  });
});
