import type { Call } from '../recordings/format.ts';

/** What an owner would count by hand, from the calls themselves and not from any database. */
export interface Manifest {
  /** Each call once, wherever it lives. */
  total: number;
  bySource: Map<string, number>;
  byVault: Map<string, number>;
  byParticipant: Map<string, number>;
  /** By month, `2026-04`, in UTC. */
  byMonth: Map<string, number>;
  /** Calls whose title, summary or transcript says the word. */
  words: Map<string, number>;
}

/** @param words lower-case words to count, each as a whole word */
export function manifestOf(calls: Iterable<Call>, words: readonly string[]): Manifest {
  const manifest: Manifest = {
    total: 0,
    bySource: new Map(),
    byVault: new Map(),
    byParticipant: new Map(),
    byMonth: new Map(),
    words: new Map(words.map((word) => [word, 0])),
  };
  const patterns = words.map((word) => [word, new RegExp(`\\b${word}\\b`, 'i')] as const);
  for (const call of calls) {
    manifest.total++;
    count(manifest.bySource, call.source);
    count(manifest.byMonth, call.startedAt.slice(0, 7));
    for (const vault of call.vaults) count(manifest.byVault, vault);
    for (const participant of call.participants) count(manifest.byParticipant, participant);
    const said = [call.title, call.summary, ...call.transcript.map((segment) => segment.text)].join('\n');
    for (const [word, pattern] of patterns) if (pattern.test(said)) count(manifest.words, word);
  }
  return manifest;
}

function count(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}
