import { writeFileSync } from 'node:fs';
import { encode } from 'gpt-tokenizer';
import { createEmbeddings } from '../embeddings/index.ts';
import { TOOLSET_NAMES, toolsetsNamed } from '../toolsets/index.ts';
import { toolsMarkdown } from './tools.ts';

/** Nobody asks it anything; with it, the tools that need one are described as they are where there is one. */
const embeddings = createEmbeddings({ url: 'http://localhost/v1', model: 'any' }, { key: () => undefined });

/** `npm run generate`: writes docs/tools.md from the toolsets. */
writeFileSync(
  new URL('../../../docs/tools.md', import.meta.url),
  toolsMarkdown(toolsetsNamed(TOOLSET_NAMES, { embeddings }), (text) => encode(text).length),
);
