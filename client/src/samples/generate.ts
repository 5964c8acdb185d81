import type { Call, CallSegment } from '../recordings/format.ts';
import { uuidOf } from '../recordings/uuid.ts';
import { createRandom, type Random } from './random.ts';
import { MARKERS, PEOPLE, SLOTS, SMALL_TALK, TOPICS, type Topic } from './vocabulary.ts';

export interface SampleOptions {
  /** The bank's id; part of the seed, so that banks differ. */
  bank: string;
  seed: number;
  /** A third is legacy, a third migrated, a third new. */
  count: number;
  /** Ids of the bank's vaults; at least one. */
  vaults: readonly string[];
}

const YEARS = 3;
/** The newest sample call is no later than this; fixed, so that a seed gives the same calls on every day. */
const LATEST = Date.UTC(2026, 10, 1);
const SOURCES = ['legacy', 'migrated', 'recording'] as const;
const FIRST_LEGACY_ID = 100_001;
/** Pace of speech. */
const WORDS_PER_SECOND = 2.3;

/** The sample calls of one bank, oldest id first, the same for the same options. */
export function* generateCalls(options: SampleOptions): Generator<Call> {
  const random = createRandom(`${options.seed}/${options.bank}`);
  for (let index = 0; index < options.count; index++) yield generateCall(options, index, random);
}

function generateCall(options: SampleOptions, index: number, random: Random): Call {
  const source = SOURCES[index % SOURCES.length] ?? 'recording';
  const topic = pickTopic(options.vaults, random);
  const speakers = random.some(PEOPLE, random.int(2, 5));
  const transcript = generateTranscript(topic, speakers, random);
  const started = LATEST - Math.floor(random.next() * YEARS * 365 * 24 * 60) * 60_000;
  return {
    source,
    id: uuidOf(Buffer.from(Array.from({ length: 16 }, () => random.int(0, 255))), 4),
    ...(source === 'recording' ? {} : { legacyId: FIRST_LEGACY_ID + index }),
    title: fill(random.pick(topic.titles), random),
    startedAt: new Date(started).toISOString(),
    durationSeconds: Math.ceil(transcript.at(-1)?.end ?? 0),
    participants: speakers.map((name) => `${name.toLowerCase().replace(' ', '.')}@${options.bank}.example`),
    vaults: pickVaults(options.vaults, topic, source, random),
    language: 'en',
    url: `https://calls.example/${options.bank}/${index + 1}`,
    summary: fill(random.pick(topic.summaries), random),
    transcript,
  };
}

function pickTopic(vaults: readonly string[], random: Random): Topic {
  const fitting = TOPICS.filter((topic) => topic.vaults.some((vault) => vaults.includes(vault)));
  return random.pick(fitting.length > 0 ? fitting : TOPICS);
}

/** One vault, sometimes two; a legacy call has one or, since vaults came later, none. */
function pickVaults(vaults: readonly string[], topic: Topic, source: Call['source'], random: Random): string[] {
  const own = vaults.filter((vault) => topic.vaults.includes(vault));
  const home = random.pick(own.length > 0 ? own : vaults);
  if (source === 'legacy') return random.chance(0.2) ? [] : [home];
  const others = vaults.filter((vault) => vault !== home);
  return others.length > 0 && random.chance(0.1) ? [home, random.pick(others)] : [home];
}

function generateTranscript(topic: Topic, speakers: readonly string[], random: Random): CallSegment[] {
  const planted = MARKERS.filter((marker) => random.chance(marker.share)).map((marker) => marker.sentence);
  const seconds = random.int(12 * 60, 40 * 60);
  const segments: CallSegment[] = [];
  let now = random.int(0, 4);
  let speaker = random.pick(speakers);
  while (now < seconds) {
    const sentences = Array.from({ length: random.int(1, 4) }, () =>
      fill(random.pick(random.chance(0.2) ? SMALL_TALK : topic.sentences), random),
    );
    const marker = segments.length >= 3 ? planted.shift() : undefined;
    if (marker !== undefined) sentences.push(marker);
    const text = sentences.join(' ');
    const end = now + Math.max(2, Math.round(text.split(' ').length / WORDS_PER_SECOND));
    segments.push({ start: now, end, speaker, text });
    now = end + random.int(0, 2);
    speaker = random.pick(speakers.filter((name) => name !== speaker));
  }
  return segments;
}

function fill(template: string, random: Random): string {
  return template.replace(/\{(\w+)\}/g, (_, slot: string) => random.pick(SLOTS[slot] ?? [slot]));
}
