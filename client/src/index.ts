export { generateCalls, MARKERS, type Manifest, manifestOf, type SampleOptions } from './samples/index.ts';
export { CLIENTS, type ClientName, type Snippet, snippetsFor } from './snippets.ts';
