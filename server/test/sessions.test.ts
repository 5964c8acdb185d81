/** Ids of sessions and of events, and the stream of a session, without a database (ADR 33). */
import { randomBytes } from 'node:crypto';
import { describe, expect, it, vi } from 'vitest';
import { Notices } from '../src/changes/notices.ts';
import { EventStream } from '../src/mcp/session-stream.ts';
import { openPlace, openSession, type SealKeys, sealPlace, sealSession } from '../src/sessions/seal.ts';

const [FIRST, SECOND, OTHER] = [randomBytes(32), randomBytes(32), randomBytes(32)];
const KEYS: SealKeys = new Map([[1, FIRST]]);
const BOTH: SealKeys = new Map([
  [1, FIRST],
  [2, SECOND],
]);
const NOW = 1_800_000_000;
const ANN = 'https://issuer.test ann';
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The same with one character of a part changed. */
function bent(id: string, part: number): string {
  const parts = id.split('.');
  const text = parts[part] ?? '';
  parts[part] = `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
  return parts.join('.');
}

describe('the id of a session', () => {
  it.each<[sentence: string, opened: (id: string) => string | undefined, taken: boolean]>([
    ['to who began it', (id) => openSession(KEYS, id, ANN, NOW), true],
    ['to who began it, a day later', (id) => openSession(KEYS, id, ANN, NOW + 86_400), true],
    ['by a clock that is behind', (id) => openSession(KEYS, id, ANN, NOW - 60), true],
    ['in the middle of a rotation', (id) => openSession(BOTH, id, ANN, NOW), true],
    ['not after its time', (id) => openSession(KEYS, id, ANN, NOW + 86_401), false],
    ['not from a clock that is far ahead', (id) => openSession(KEYS, id, ANN, NOW - 61), false],
    ['not to another subject', (id) => openSession(KEYS, id, 'https://issuer.test bob', NOW), false],
    ['not to the same name of another issuer', (id) => openSession(KEYS, id, 'https://other.test ann', NOW), false],
    ['not by another bank', (id) => openSession(new Map([[1, OTHER]]), id, ANN, NOW), false],
    ['not after its key is gone', (id) => openSession(new Map([[2, SECOND]]), id, ANN, NOW), false],
    ['not under another generation', (id) => openSession(BOTH, id.replace(/^1/, '2'), ANN, NOW), false],
    ['not with another time', (id) => openSession(KEYS, bent(id, 1).toLowerCase(), ANN, NOW), false],
    ['not with another number', (id) => openSession(KEYS, bent(id, 2), ANN, NOW), false],
    ['not with another MAC', (id) => openSession(KEYS, bent(id, 3), ANN, NOW), false],
    ['not twice', (id) => openSession(KEYS, `${id}, ${id}`, ANN, NOW), false],
    ['not with anything behind', (id) => openSession(KEYS, `${id}\n`, ANN, NOW), false],
    ['not without anything', () => openSession(KEYS, '', ANN, NOW), false],
  ])('opens %s', (_sentence, opened, taken) => {
    const session = opened(sealSession(KEYS, ANN, NOW));
    if (taken) expect(session).toMatch(UUID);
    else expect(session).toBeUndefined();
  });

  it('is visible ASCII, another each time, and names the same session wherever it is opened', () => {
    const ids = [sealSession(BOTH, ANN, NOW), sealSession(BOTH, ANN, NOW)];
    for (const id of ids) expect(id).toMatch(/^2\.[\x21-\x7e]{60,90}$/);
    const sessions = ids.map((id) => openSession(BOTH, id, ANN, NOW));
    expect(new Set(sessions).size).toBe(2);
    expect(openSession(new Map([[2, SECOND]]), ids[0] ?? '', ANN, NOW + 5)).toBe(sessions[0]);
  });
});

describe('the id of an event', () => {
  const SESSION = '0f3d0000-0000-4000-8000-000000000001';
  const PLACE = { server: 'c4ca4238a0b923820dcc509a6f75849b', position: '751:760:751,755' };

  it.each<[sentence: string, opened: (id: string) => unknown, taken: boolean]>([
    ['in its session', (id) => openPlace(KEYS, SESSION, id), true],
    ['in the middle of a rotation', (id) => openPlace(BOTH, SESSION, id), true],
    ['not in another session', (id) => openPlace(KEYS, SESSION.replace('1', '2').replace('001', '002'), id), false],
    ['not by another bank', (id) => openPlace(new Map([[1, OTHER]]), SESSION, id), false],
    ['not under another generation', (id) => openPlace(BOTH, SESSION, id.replace(/^1/, '2')), false],
    ['not changed', (id) => openPlace(KEYS, SESSION, bent(id, 1)), false],
    ['not cut', (id) => openPlace(KEYS, SESSION, id.slice(0, -8)), false],
    ['not as short as a nonce', () => openPlace(KEYS, SESSION, `1.${'A'.repeat(40)}`), false],
    ['not beyond any length', (id) => openPlace(KEYS, SESSION, id + 'A'.repeat(10_000)), false],
    ['not as a position in clear', () => openPlace(KEYS, SESSION, PLACE.position), false],
  ])('opens %s', (_sentence, opened, taken) => {
    expect(opened(sealPlace(KEYS, SESSION, PLACE) ?? '')).toEqual(taken ? PLACE : undefined);
  });

  it('shows nothing of the position, and is another each time', () => {
    const ids = [sealPlace(KEYS, SESSION, PLACE), sealPlace(KEYS, SESSION, PLACE)];
    expect(new Set(ids).size).toBe(2);
    for (const id of ids)
      expect(Buffer.from(id?.split('.')[1] ?? '', 'base64url').toString('latin1')).not.toContain('751');
  });

  it('is not given for a place that would not fit into a header', () => {
    expect(sealPlace(KEYS, SESSION, { ...PLACE, position: `1:2:${'751,'.repeat(1000)}` })).toBeUndefined();
  });
});

/** A stream of what `notices` has to say, at the place `at`. */
function openStream(uris: string[], { takesBareIds = true } = {}) {
  const notices = new Notices('acme', { uris, lists: true });
  const seen = { gone: 0, at: '1' };
  const events = new EventStream({
    stream: {
      take: () => notices.take(),
      get place() {
        return notices.isEmpty ? { position: seen.at, server: 's' } : undefined;
      },
      close() {},
    },
    eventId: () => (notices.isEmpty ? `at-${seen.at}` : undefined),
    takesBareIds,
    onGone: () => {
      seen.gone += 1;
    },
  });
  const reader = events.body.getReader();
  const next = async () => {
    const { done, value } = await reader.read();
    return done ? undefined : new TextDecoder().decode(value);
  };
  const changed = (kind: string, id: string, operation: 'updated' | 'created') => notices.add({ kind, id, operation });
  return { notices, events, reader, next, changed, seen };
}

const UPDATED = (uri: string) =>
  `data: {"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"${uri}"}}\n\n`;
const LIST = 'data: {"jsonrpc":"2.0","method":"notifications/resources/list_changed"}\n\n';

describe('the stream of a session', () => {
  it('begins with the place where it is, for clients that take an id alone', async () => {
    expect(await openStream([]).next()).toBe('id: at-1\ndata: \nretry: 1000\n\n');
    expect(await openStream([], { takesBareIds: false }).next()).toBe('retry: 1000\n\n');
  });

  it('gives an id with what leaves nothing to be told, and only there', async () => {
    const stream = openStream(['bankhouse://acme/notes/1', 'bankhouse://acme/notes']);
    await stream.next();
    stream.seen.at = '2';
    stream.changed('notes', '1', 'created');
    stream.events.ring();
    expect([await stream.next(), await stream.next(), await stream.next()]).toEqual([
      `event: message\n${UPDATED('bankhouse://acme/notes')}`,
      `event: message\n${UPDATED('bankhouse://acme/notes/1')}`,
      `event: message\nid: at-2\n${LIST}`,
    ]);
  });

  it('tells nothing of what was unsubscribed while it was still to be told', async () => {
    const stream = openStream(['bankhouse://acme/notes', 'bankhouse://acme/tasks']);
    await stream.next();
    stream.changed('notes', '1', 'updated');
    stream.changed('tasks', '1', 'updated');
    stream.notices.want(['bankhouse://acme/tasks']);
    stream.events.ring();
    expect(await stream.next()).toBe(`event: message\nid: at-1\n${UPDATED('bankhouse://acme/tasks')}`);
  });

  it('tells of other tools', async () => {
    const stream = openStream([]);
    await stream.next();
    const told = stream.next();
    stream.events.hearOfTools();
    expect(await told).toBe('event: message\ndata: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}\n\n');
  });

  it('says all that is left and the last place before it ends', async () => {
    const stream = openStream(['bankhouse://acme/notes']);
    await stream.next();
    stream.changed('notes', '1', 'updated');
    stream.events.end();
    expect(await stream.next()).toBe(`event: message\nid: at-1\n${UPDATED('bankhouse://acme/notes')}`);
    stream.seen.at = '2';
    stream.events.ring();
    expect([await stream.next(), await stream.next(), stream.seen.gone]).toEqual([
      'id: at-2\ndata: \n\n',
      undefined,
      1,
    ]);
  });

  it('is kept alive, with a later place where there is one, and leaves no timer behind', async () => {
    vi.useFakeTimers();
    try {
      const stream = openStream([]);
      await stream.next();
      const quiet = stream.next();
      await vi.advanceTimersByTimeAsync(15_000);
      expect(await quiet).toBe(': \n\n');
      stream.seen.at = '2';
      const later = stream.next();
      stream.events.ring();
      await vi.advanceTimersByTimeAsync(15_000);
      expect(await later).toBe('id: at-2\ndata: \n\n');
      const waiting = stream.next();
      await vi.advanceTimersByTimeAsync(1);
      await stream.reader.cancel();
      expect([await waiting, stream.seen.gone]).toEqual([undefined, 1]);
      await vi.advanceTimersByTimeAsync(1);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});
