import { z } from 'zod';
import type { EmbeddingsClient } from '../../embeddings/index.ts';
import { defineTool, type LocalTool, type Toolset } from '../../mcp/toolset.ts';
import { notConfigured } from './errors.ts';
import { createIndexer } from './indexing.ts';
import { semanticSearch } from './semantic-search.ts';
import { suggest } from './suggest.ts';
import { tag } from './tag.ts';

/** Search by meaning, tags and suggestions (R3.12). Without an endpoint for embeddings its tools are hidden and say so. */
export function semantic(embeddings: EmbeddingsClient | undefined): Toolset {
  if (embeddings === undefined) return { name: 'semantic', instructions: '', tools: OFF, resources: [] };
  const indexer = createIndexer(embeddings);
  return {
    name: 'semantic',
    instructions:
      'To find something by what it means, use semantic_search; suggest gives what is related to an entry, tag its tags.',
    tools: [semanticSearch(indexer), tag(indexer), suggest(indexer)],
    resources: [],
  };
}

const OFF: readonly LocalTool[] = [off('semantic_search', 'read'), off('tag', 'write'), off('suggest', 'read')];

function off(name: string, access: LocalTool['access']): LocalTool {
  const refuse = async () => {
    throw notConfigured(name);
  };
  return defineTool({
    name,
    title: name,
    description: 'Off: there is no endpoint for embeddings.',
    access,
    listedIn: [],
    input: z.looseObject({}),
    output: z.object({}),
    prepare: refuse,
    run: refuse,
  });
}
