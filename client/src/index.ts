export { CLIENTS, type ClientName, type Snippet, snippetsFor } from './snippets.ts';
