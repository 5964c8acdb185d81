import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { describe, expect, it } from 'vitest';

const ROOT = join(import.meta.dirname, '../..');

/** The room that a file is in: a folder right below src, or a file that stands alone there. */
const roomOf = (path: string) => path.split('/')[0] ?? path;

function importsOf(workspace: string): Map<string, Set<string>> {
  const source = join(ROOT, workspace, 'src');
  const rooms = new Map<string, Set<string>>();
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.ts'),
  )) {
    const from = roomOf(file);
    const imported = rooms.get(from) ?? new Set();
    for (const [, path = ''] of readFileSync(join(source, file), 'utf8').matchAll(/ from '(\.[^']+)'/g)) {
      const to = roomOf(relative(source, join(source, dirname(file), path)));
      if (to !== from) imported.add(to);
    }
    rooms.set(from, imported);
  }
  return rooms;
}

/** A way along imports that comes back to where it begins. */
function circleIn(rooms: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const done = new Set<string>();
  const walk = (room: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(room)) return [...way.slice(way.indexOf(room)), room];
    if (done.has(room)) return undefined;
    for (const next of rooms.get(room) ?? []) {
      const circle = walk(next, [...way, room]);
      if (circle !== undefined) return circle;
    }
    done.add(room);
    return undefined;
  };
  for (const room of rooms.keys()) {
    const circle = walk(room, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

describe("rooms' imports point one way", () => {
  // Not yet so: operator (cluster and decide), server (mcp and database).
  it.each(['core', 'kube', 'gateway', 'control', 'client'])(
    'in %s no room imports one that leads back to it',
    (workspace) => {
      const rooms = importsOf(workspace);
      expect([...rooms.values()].some((imported) => imported.size > 0)).toBe(true);
      expect(circleIn(rooms)).toBeUndefined();
    },
  );

  it('a circle is found however long it is', () => {
    const rooms = { a: ['b'], b: ['c', 'd'], c: [], d: ['e'], e: ['b'] };
    expect(circleIn(new Map(Object.entries(rooms).map(([room, to]) => [room, new Set(to)])))).toEqual([
      'b',
      'd',
      'e',
      'b',
    ]);
  });
});
