export { generateCalls, type SampleOptions } from './generate.ts';
export { type Manifest, manifestOf } from './manifest.ts';
export { createRandom, type Random } from './random.ts';
export { MARKERS } from './vocabulary.ts';
