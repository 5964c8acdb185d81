export { createEmbeddings, type EmbeddingsClient, type EmbedOptions } from './client.ts';
export { EmbeddingsError, type EmbeddingsErrorReason } from './error.ts';
export { fromLiteral, similarity, toLiteral } from './vectors.ts';
