import { writeFileSync } from 'node:fs';
import { TOOLSET_NAMES, toolsetsNamed } from '../toolsets/index.ts';
import { toolsMarkdown } from './tools.ts';

/** `npm run generate`: writes docs/tools.md from the toolsets. */
writeFileSync(new URL('../../../docs/tools.md', import.meta.url), toolsMarkdown(toolsetsNamed(TOOLSET_NAMES)));
