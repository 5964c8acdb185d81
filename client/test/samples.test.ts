import { describe, expect, it } from 'vitest';
import { callSchema } from '../src/recordings/format.ts';
import { generateCalls, MARKERS, manifestOf } from '../src/samples/index.ts';

const OPTIONS = { bank: 'acme', seed: 7, count: 60, vaults: ['sales', 'support'] };

describe('generated calls', () => {
  const calls = [...generateCalls(OPTIONS)];

  it('are the same for the same seed, and others for another seed or bank', () => {
    expect([...generateCalls(OPTIONS)]).toEqual(calls);
    expect([...generateCalls({ ...OPTIONS, seed: 8 })][0]).not.toEqual(calls[0]);
    expect([...generateCalls({ ...OPTIONS, bank: 'globex' })][0]).not.toEqual(calls[0]);
  });

  it('are a third legacy, a third migrated, a third new', () => {
    expect(Object.fromEntries(manifestOf(calls, []).bySource)).toEqual({ legacy: 20, migrated: 20, recording: 20 });
  });

  it('are all lines that an import would take', () => {
    expect(calls.map((call) => callSchema.safeParse(call).success)).not.toContain(false);
  });

  it('have transcripts of real length: 12 to 41 minutes, 1,500 words and more', () => {
    for (const call of calls) {
      expect(call.durationSeconds).toBeGreaterThanOrEqual(12 * 60);
      expect(call.durationSeconds).toBeLessThan(42 * 60);
      expect(call.transcript.reduce((sum, { text }) => sum + text.split(' ').length, 0)).toBeGreaterThan(1500);
    }
  });

  it('have ids of their own', () => {
    expect(new Set(calls.map((call) => call.id)).size).toBe(calls.length);
  });
});

describe('a manifest', () => {
  it('counts by hand what a search must find: whole words, each call once', () => {
    const [call] = generateCalls({ ...OPTIONS, count: 1 });
    if (call === undefined) throw new Error('no call');
    const say = (text: string) => ({
      ...call,
      title: 't',
      summary: 's',
      transcript: [{ start: 0, end: 1, speaker: 'Ann', text }],
    });
    const manifest = manifestOf([say('Escrow, and escrow again'), say('escrows'), say('nothing')], ['escrow']);
    expect(manifest.words.get('escrow')).toBe(1);
    expect(manifest.total).toBe(3);
  });

  it('finds markers in the calls that it counts', () => {
    const manifest = manifestOf(
      generateCalls({ ...OPTIONS, count: 300 }),
      MARKERS.map(({ word }) => word),
    );
    expect(manifest.words.get('telemetry')).toBeGreaterThan(10);
  });
});
