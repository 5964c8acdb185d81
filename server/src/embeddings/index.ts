export { createEmbeddings, type EmbeddingsClient, type EmbedOptions } from './client.ts';
export { type EmbeddingsConfig, type EmbeddingsVariables, embeddingsConfig, embeddingsVariables } from './config.ts';
export { EmbeddingsError, type EmbeddingsErrorReason } from './error.ts';
