/** The gateway decides by this catalogue (G12): it has to say of every tool what the tool says of itself. */
import { BUILT_IN_CATALOGUE } from '@bankhouse/core';
import { describe, expect, it } from 'vitest';
import { listTool } from '../src/mcp/listing.ts';
import { catalogueTool } from '../src/mcp/offered.ts';
import { buildSurface } from '../src/mcp/surface.ts';
import { TOOLSET_NAMES, toolsetsNamed } from '../src/toolsets/index.ts';
import { ALL_TOOLSETS } from './fixtures.ts';

const tools = buildSurface(ALL_TOOLSETS).tools.all();

describe('the built-in catalogue', () => {
  it('has every tool of every toolset, and no other', () => {
    expect([...BUILT_IN_CATALOGUE.tools.keys()].sort()).toEqual(tools.map(({ name }) => name).sort());
  });

  it.each(tools)('has $name as it is (else `npm run generate`)', (tool) => {
    expect(BUILT_IN_CATALOGUE.tools.get(tool.name)).toEqual(catalogueTool(tool));
  });

  it.each(tools)('has $name with the access that clients are told', (tool) => {
    const readOnly = listTool(tool).annotations?.readOnlyHint === true;
    const other = tool.name === 'call_tool' ? 'either' : 'write';
    expect(BUILT_IN_CATALOGUE.tools.get(tool.name)?.access).toBe(readOnly ? 'read' : other);
  });

  it('has the access of tools too that a bank without embeddings hides', () => {
    for (const { name, access } of buildSurface(toolsetsNamed(TOOLSET_NAMES)).tools.all()) {
      expect([name, BUILT_IN_CATALOGUE.tools.get(name)?.access]).toEqual([name, access]);
    }
  });

  it('tells a tool from what it was before by its digest', () => {
    const [tool] = tools;
    if (tool === undefined) throw new Error('There is no tool.');
    expect(catalogueTool({ ...tool, description: `${tool.description} ` }).digest).not.toBe(catalogueTool(tool).digest);
  });
});
