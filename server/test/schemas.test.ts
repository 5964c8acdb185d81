import { describe, expect, it } from 'vitest';
import { buildSurface, parseArguments } from '../src/mcp/surface.ts';
import { recordings } from '../src/toolsets/recordings/index.ts';
import { filterValues } from '../src/toolsets/recordings/schemas.ts';
import { isRecordingId } from '../src/toolsets/shared/ids.ts';
import { parseResourceUri, resourceUri } from '../src/toolsets/shared/uris.ts';
import { isWhen, toInstant } from '../src/toolsets/shared/when.ts';

const surface = buildSurface([recordings]);
const tool = (name: string) => {
  const found = surface.tools.get(name);
  if (found === undefined) throw new Error(name);
  return found;
};

describe('the list of tools', () => {
  it.each(surface.toolList.tools.map((listed) => [listed.name, listed] as const))(
    '%s says what it takes, gives and does',
    (name, listed) => {
      expect(name).toMatch(/^[a-z_]{1,64}$/);
      expect(listed.description?.length).toBeGreaterThan(40);
      expect(listed.inputSchema).toMatchObject({ type: 'object' });
      expect(listed.annotations).toMatchObject({ readOnlyHint: true });
      const properties = Object.values(listed.inputSchema.properties ?? {});
      expect(properties.filter((property) => (property as { description?: string }).description === undefined)).toEqual(
        [],
      );
    },
  );

  it('refuses two tools of one name', () => {
    expect(() => buildSurface([recordings, recordings])).toThrow('Two tools are named list_vaults.');
  });
});

describe('arguments', () => {
  it.each<[string, string, unknown]>([
    ['none, where none are needed', 'list_recordings', undefined],
    ['a day', 'list_recordings', { from: '2026-05-01' }],
    ['an instant with an offset', 'list_recordings', { to: '2026-05-01T10:00:00+02:00' }],
    ['the largest page', 'list_recordings', { limit: 100 }],
    ['an id of the old table', 'get_recording', { id: 'fathom-12' }],
    ['a part of a transcript', 'get_transcript', { id: 'fathom-12', fromSeconds: 1.5, toSeconds: 9 }],
  ])('are taken: %s', (_sentence, name, args) => {
    expect(() => parseArguments(tool(name), args)).not.toThrow();
  });

  it.each<[string, string, unknown, string | undefined]>([
    ['a limit of 0', 'list_recordings', { limit: 0 }, 'limit'],
    ['a limit of 101', 'list_recordings', { limit: 101 }, 'limit'],
    ['half a limit', 'list_recordings', { limit: 1.5 }, 'limit'],
    ['a limit in words', 'list_recordings', { limit: 'ten' }, 'limit'],
    ['a day that is not in the calendar', 'list_recordings', { from: '2026-02-30' }, 'from'],
    ['a date in words', 'list_recordings', { from: 'yesterday' }, 'from'],
    ['an instant without a zone', 'list_recordings', { to: '2026-05-01T10:00:00' }, 'to'],
    ['a vault that can be no id', 'list_recordings', { vaultId: 'Sales Team' }, 'vaultId'],
    ['a misspelt argument', 'list_recordings', { partcipant: 'a@b.c' }, 'partcipant'],
    ['an empty query', 'search_recordings', { query: '  ' }, 'query'],
    ['a query without end', 'search_recordings', { query: 'x'.repeat(501) }, 'query'],
    ['no query', 'search_recordings', {}, 'query'],
    ['an id of no form', 'get_recording', { id: "1' or '1'='1" }, 'id'],
    ['a negative second', 'get_transcript', { id: 'fathom-1', fromSeconds: -1 }, 'fromSeconds'],
    ['a list instead of an object', 'list_vaults', [], undefined],
  ])('are refused: %s', (_sentence, name, args, field) => {
    expect(() => parseArguments(tool(name), args)).toThrow(
      expect.objectContaining({ code: 'invalid_argument', field, remedy: expect.stringContaining(name) }),
    );
  });
});

describe('a range', () => {
  it.each<[string, Parameters<typeof filterValues>[0], (string | null)[]]>([
    ['nothing asked is null', {}, [null, null, null, null]],
    ['a day begins at its midnight', { from: '2026-05-01' }, ['2026-05-01T00:00:00Z', null, null, null]],
    ['a last day is included', { to: '2026-12-31' }, [null, '2027-01-01T00:00:00.000Z', null, null]],
    [
      'an instant stays as it is',
      { to: '2026-05-01T10:00:00.000001+02:00' },
      [null, '2026-05-01T10:00:00.000001+02:00', null, null],
    ],
    [
      'one day is a range',
      { from: '2026-05-01', to: '2026-05-01' },
      ['2026-05-01T00:00:00Z', '2026-05-02T00:00:00.000Z', null, null],
    ],
  ])('%s', (_sentence, filters, values) => {
    expect(filterValues(filters)).toEqual(values);
  });

  it('that ends before it begins is refused', () => {
    expect(() => filterValues({ from: '2026-05-02', to: '2026-05-01' })).toThrow(
      expect.objectContaining({ code: 'invalid_range' }),
    );
  });

  it.each([
    ['2024-02-29', true],
    ['2026-02-29', false],
    ['2026-05-01T25:00:00Z', false],
    ['0000-01-01', false],
    ['9999-12-31', false],
  ])('%s exists: %s', (text, exists) => {
    expect(isWhen(text)).toBe(exists);
  });

  it.each([
    ['2026-05-01T09:30:00.000000Z', '2026-05-01T09:30:00Z'],
    ['2026-05-01T09:30:00.120000Z', '2026-05-01T09:30:00.12Z'],
    ['2026-05-01T09:30:00.000001Z', '2026-05-01T09:30:00.000001Z'],
  ])('%s is shown as %s', (stored, shown) => {
    expect(toInstant(stored)).toBe(shown);
  });
});

describe('a resource URI', () => {
  const uuid = '0191f0aa-0000-7000-8000-000000000001';

  it('names one thing of this bank', () => {
    expect(parseResourceUri(resourceUri('acme', 'vaults', 'sales'), 'acme')).toEqual({ kind: 'vaults', id: 'sales' });
    expect(parseResourceUri(resourceUri('acme', 'chat_messages', uuid), 'acme')).toEqual({
      kind: 'chat_messages',
      id: uuid,
    });
    expect(parseResourceUri('bankhouse://acme/notes', 'acme')).toEqual({ kind: 'notes', id: undefined });
    expect(isRecordingId('fathom-0')).toBe(false);
  });

  it.each([
    'bankhouse://other/vaults/sales',
    'bankhouse://acme/vaults/sales/',
    'bankhouse://acme/vaults/%73ales',
    'bankhouse://acme/vaults/../recordings/fathom-1',
    'bankhouse://acme/recordings/sales',
    'BANKHOUSE://acme/vaults/sales',
    'file:///etc/passwd',
  ])('%s names nothing', (uri) => {
    expect(parseResourceUri(uri, 'acme')).toBeUndefined();
  });
});
