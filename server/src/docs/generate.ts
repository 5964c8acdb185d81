import { writeFileSync } from 'node:fs';
import { createEmbeddings } from '../embeddings/index.ts';
import { TOOLSET_NAMES, toolsetsNamed } from '../toolsets/index.ts';
import { builtInCatalogue } from './catalogue.ts';
import { toolsMarkdown } from './tools.ts';

/** Nobody asks it anything; with it, the tools that need one are described as they are where there is one. */
const embeddings = createEmbeddings({ url: 'http://localhost/v1', model: 'any' }, { key: () => undefined });
const toolsets = toolsetsNamed(TOOLSET_NAMES, { embeddings });
const ROOT = new URL('../../../', import.meta.url);

/** `npm run generate`: writes what others know of the toolsets, people by docs/tools.md and the gateway by its catalogue. */
writeFileSync(new URL('docs/tools.md', ROOT), toolsMarkdown(toolsets));
writeFileSync(
  new URL('core/src/policy/built-in.ts', ROOT),
  builtInCatalogue(toolsets.flatMap(({ tools }) => [...tools])),
);
