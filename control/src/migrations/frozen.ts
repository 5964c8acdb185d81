import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MigrationError } from './errors.ts';
import { type Part, partNames, readPart } from './files.ts';

/**
 * `<migrations>/frozen.txt`: what has been committed, and so may be applied somewhere. A line for each table file, which stays
 * for ever; and one for each part, whose generation rises with every commit that changes any of the part's texts. By the
 * generation a release knows that a schema is newer than itself, also where only functions differ.
 */
export interface Frozen {
  /** Checksums by `<part>/tables/NNNN_name.sql`. */
  tables: ReadonlyMap<string, string>;
  parts: ReadonlyMap<string, Generation>;
}

export interface Generation {
  number: number;
  /** Of all texts of the part. */
  digest: string;
}

export const FROZEN = 'frozen.txt';

const HEADER = `# Written by \`npm run generate\`, never by hand: what of these folders was committed. A line of a table file stays as it is for
# ever; the generation of a part rises with each commit that changes it (docs/adr/0016-migrations.md).
`;
const TABLE_LINE = /^(\S+\/tables\/\S+\.sql) ([0-9a-f]{64})$/;
const PART_LINE = /^(\S+) generation (\d+) ([0-9a-f]{64})$/;

/** @throws MigrationError `migrations_invalid` */
export function parseFrozen(text: string): Frozen {
  const tables = new Map<string, string>();
  const parts = new Map<string, Generation>();
  for (const line of text.split('\n')) {
    const [, file, checksum] = TABLE_LINE.exec(line) ?? [];
    const [, part, number, digest] = PART_LINE.exec(line) ?? [];
    if (file !== undefined && checksum !== undefined) tables.set(file, checksum);
    else if (part !== undefined && digest !== undefined) parts.set(part, { number: Number(number), digest });
    else if (line.trim() !== '' && !line.startsWith('#')) {
      throw new MigrationError('migrations_invalid', `${FROZEN} has a line that is none of its own: ${line}`);
    }
  }
  return { tables, parts };
}

export function printFrozen(frozen: Frozen): string {
  const parts = [...frozen.parts].map(([part, { number, digest }]) => `${part} generation ${number} ${digest}\n`);
  const tables = [...frozen.tables].map(([file, checksum]) => `${file} ${checksum}\n`);
  return HEADER + [...parts.sort(), ...tables.sort()].join('');
}

/** What the folder's frozen.txt says; nothing where there is none. */
export function readFrozen(dir: string): Frozen {
  const file = join(dir, FROZEN);
  return parseFrozen(existsSync(file) ? readFileSync(file, 'utf8') : '');
}

/** @throws MigrationError `migrations_invalid` */
export function readParts(dir: string, names: readonly string[] = partNames(dir)): Part[] {
  const { parts } = readFrozen(dir);
  return names.map((name) => readPart(dir, name, parts.get(name)?.number));
}

/** What frozen.txt has to say of these parts, when `committed` is what it said last. */
export function freeze(committed: Frozen, parts: readonly Part[]): Frozen {
  const tables = new Map(committed.tables);
  const generations = new Map(committed.parts);
  for (const part of parts) {
    for (const { path, checksum } of tablesOf(part)) if (!tables.has(path)) tables.set(path, checksum);
    const before = committed.parts.get(part.name) ?? { number: 0, digest: '' };
    const digest = digestOf(part);
    generations.set(part.name, digest === before.digest ? before : { number: before.number + 1, digest });
  }
  return { tables, parts: generations };
}

/** One sentence for each committed table file that is not as it was. */
export function brokenPromises(committed: Frozen, parts: readonly Part[]): string[] {
  const found = new Map(parts.flatMap(tablesOf).map(({ path, checksum }) => [path, checksum]));
  return [...committed.tables].flatMap(([path, checksum]) => {
    const now = found.get(path);
    if (now === checksum) return [];
    const what = now === undefined ? 'is gone' : 'has changed';
    return [
      `${path} ${what}, but it is frozen: databases have it already. Put it back, and write a new numbered file.`,
    ];
  });
}

/** One sentence for everything that one commit may not do to the frozen.txt of the one before. */
export function rewrites(before: Frozen, after: Frozen): string[] {
  const tables = [...before.tables].flatMap(([path, checksum]) => {
    const now = after.tables.get(path);
    if (now === checksum) return [];
    return [`${now === undefined ? 'deletes' : 'changes'} the line of ${path}`];
  });
  const parts = [...before.parts].flatMap(([part, { number, digest }]) => {
    const now = after.parts.get(part);
    if (now === undefined) return [`deletes the generation of ${part}`];
    if (now.number < number) return [`lets the generation of ${part} go back from ${number} to ${now.number}`];
    return now.number === number && now.digest !== digest
      ? [`changes ${part} and leaves it at generation ${number}`]
      : [];
  });
  return [...tables, ...parts];
}

function tablesOf(part: Part): { path: string; checksum: string }[] {
  return part.tables.map(({ name, checksum }) => ({ path: `${part.name}/tables/${name}`, checksum }));
}

function digestOf(part: Part): string {
  const files = [part.rights, ...part.functions, ...part.tables];
  const texts = files.map(({ name, checksum }) => `${name} ${checksum}`).sort();
  return createHash('sha256').update(texts.join('\n')).digest('hex');
}
