export {
  createRandom,
  generateCalls,
  MARKERS,
  type Manifest,
  manifestOf,
  type Random,
  type SampleOptions,
} from './samples/index.ts';
export { CLIENTS, type ClientName, type Snippet, snippetsFor } from './snippets.ts';
