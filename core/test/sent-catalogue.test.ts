/** What a bank server sends as its catalogue, and what the gateway makes of it (ADR 37). */
import { describe, expect, it } from 'vitest';
import {
  CATALOGUE_DIGEST_LENGTH,
  CATALOGUE_MAX_BYTES,
  type CatalogueTool,
  checkProof,
  type Offered,
  proofOf,
  readCatalogue,
  type ToolAccess,
  writeCatalogue,
} from '../src/index.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const tool = (name: string, access: ToolAccess = 'read', words = digest): [string, CatalogueTool] => [
  name,
  { access, digest: words },
];
const offer = (change: Partial<Offered> = {}): Offered => ({ tools: [], prompts: [], resources: [], ...change });
const digestOf = (change: Partial<Offered>) => writeCatalogue(offer(change)).digest;
const bytesOf = (value: unknown) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const read = (value: unknown) => readCatalogue(value instanceof Buffer ? value : bytesOf(value));
const sent = (change: object) => ({ tools: [], prompts: [], resources: [], ...change });

describe('a catalogue as it is sent', () => {
  it('has one digest for the same in whatever order', () => {
    const [a, b] = [tool('a'), tool('b', 'write')];
    const one = writeCatalogue(offer({ tools: [a, b], prompts: ['x', 'y'], resources: ['r{a}', 'r{b}'] }));
    const other = writeCatalogue(offer({ tools: [b, a], prompts: ['y', 'x'], resources: ['r{b}', 'r{a}'] }));
    expect(other).toEqual(one);
    expect(one.digest).toHaveLength(CATALOGUE_DIGEST_LENGTH);
    expect(readCatalogue(Buffer.from(one.text))).toEqual({ digest: one.digest, tools: new Map([a, b]) });
  });

  it.each<[string, Partial<Offered>]>([
    ['a tool that needs more', { tools: [tool('a', 'write')] }],
    ['a tool of other words', { tools: [tool('a', 'read', `sha256:${'1'.repeat(64)}`)] }],
    ['another tool', { tools: [tool('a'), tool('b')] }],
    ['another prompt', { tools: [tool('a')], prompts: ['x'] }],
    ['another kind of resources', { tools: [tool('a')], resources: ['x'] }],
  ])('has another digest for %s', (_sentence, change) => {
    expect(digestOf(change)).not.toBe(digestOf({ tools: [tool('a')] }));
  });

  it.each<[string, unknown]>([
    ['no JSON', '{"tools":'],
    ['no object', []],
    ['no tools', { prompts: [], resources: [] }],
    ['an access that there is not', sent({ tools: [['a', 'admin', digest]] })],
    ['an access of none', sent({ tools: [['a', 'none', digest]] })],
    ['a digest that is none', sent({ tools: [['a', 'read', 'sha256:0']] })],
    ['a name without a letter', sent({ tools: [['', 'read', digest]] })],
    ['a name of 257 letters', sent({ tools: [['a'.repeat(257), 'read', digest]] })],
    ['a name that is a number', sent({ tools: [[1, 'read', digest]] })],
    ['2,001 tools', sent({ tools: Array.from({ length: 2001 }, (_, at) => [`t${at}`, 'read', digest]) })],
    ['2,001 prompts', sent({ prompts: Array.from({ length: 2001 }, (_, at) => [`p${at}`, 'read']) })],
    ['a prompt that writes', sent({ prompts: [['a', 'write']] })],
    ['text that nests too deep', `${'['.repeat(100)}${']'.repeat(100)}`],
    ['text that is no UTF-8', Buffer.from('{"tools":[],"prompts":[],"resources":[],"\xff":1}', 'latin1')],
    ['more bytes than there may be', sent({ more: 'x'.repeat(CATALOGUE_MAX_BYTES) })],
  ])('is refused with %s', (_sentence, value) => {
    expect(() => read(value)).toThrow(expect.objectContaining({ code: 'catalogue_wrong' }));
  });

  it('may say more than is understood here, of itself and of a tool', () => {
    const { tools } = read(sent({ tools: [['a', 'write', digest, 'mcpserver:acme']] }));
    expect(tools).toEqual(new Map([tool('a', 'write')]));
    expect(read(sent({ tools: [['a', 'write', digest]], connectors: [] })).tools.get('a')?.access).toBe('write');
  });

  it.each([
    ['list_notes', 'write', 'read'],
    ['list_notes', 'either', 'read'],
    ['call_tool', 'write', 'either'],
    ['create_note', 'read', 'read'],
    ['create_note', 'write', 'write'],
    ['amazon.order', 'write', 'write'],
    ['__proto__', 'write', 'write'],
  ])('that says of %s that it is "%s" is taken as "%s": what our toolsets have needs no more than there', (...row) => {
    const [name, said, taken] = row;
    expect(read(sent({ tools: [[name, said, digest]] })).tools.get(name)?.access).toBe(taken);
  });
});

describe('a proof that seals a catalogue', () => {
  const keys = new Map([[1, Buffer.alloc(32, 1)]]);
  const key = keys.get(1) as Buffer;
  const sealed = '1.payload.mac';
  const said = 'x'.repeat(43);
  const withIt = proofOf(sealed, keys, said) as string;
  const without = proofOf(sealed, keys) as string;
  it.each<[string, string, string | undefined, number | undefined]>([
    ['is right with it', withIt, said, 1],
    ['is wrong with another', withIt, 'y'.repeat(43), undefined],
    ['is wrong where it was taken away', withIt, undefined, undefined],
    ['is wrong where one was added', without, said, undefined],
    ['is as ever where there is none', without, undefined, 1],
  ])('%s', (_sentence, proof, claimed, generation) => {
    expect(checkProof(proof, sealed, key, claimed)).toBe(generation);
  });
});
