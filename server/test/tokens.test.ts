import { encode } from 'gpt-tokenizer';
import { expect, it } from 'vitest';
import { buildSurface } from '../src/mcp/surface.ts';
import { ALL_TOOLSETS } from './fixtures.ts';

/** Of the whole answer to tools/list, which clients put in front of every conversation (P8); it was 21,364. */
const BUDGET = 9700;

it(`the list of all tools costs a model at most ${BUDGET} tokens`, () => {
  const toolList = buildSurface(ALL_TOOLSETS).tools.list('full');
  expect(toolList.tools.length).toBeGreaterThanOrEqual(51);
  expect(encode(JSON.stringify(toolList)).length).toBeLessThanOrEqual(BUDGET);
});

it('the names of tools are such that no client drops them, with a prefix of its own too (P9)', () => {
  const longest = 'mcp__'.length + 'bankhouse-'.length + 24 + '__'.length;
  for (const { name } of buildSurface(ALL_TOOLSETS).tools.list('full').tools) {
    expect(name).toMatch(/^[a-z][a-z0-9_]*$/);
    expect(name.length + longest).toBeLessThanOrEqual(64);
  }
});
