export { type EmbedBankOptions, type EmbedProgress, embedBank } from './embed.ts';
