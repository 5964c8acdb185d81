import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MigrationError } from './errors.ts';

/** A change of tables: applied once, and never another text from then on. */
export interface TableFile {
  /** Of 0001 and so on, without a gap. */
  number: number;
  /** `NNNN_name.sql` */
  name: string;
  text: string;
  checksum: string;
  /** False: its first line is `-- bankhouse: no transaction`; it runs statement by statement, and repeating it is harmless. */
  transaction: boolean;
  /** Of `-- bankhouse: contract N`: servers of generations before this one no longer work once it is applied. */
  oldestGeneration: number | undefined;
}

/** Applied again whenever its text changes, as often as that is: `create or replace`. */
export interface RepeatableFile {
  name: string;
  text: string;
  checksum: string;
}

/** What is applied to a database as one: a folder with a history of its own. */
export interface Part {
  name: string;
  tables: readonly TableFile[];
  functions: readonly RepeatableFile[];
  /** Applied behind the functions, with them; owners and grants by convention. Without rights.sql: an empty text. */
  rights: RepeatableFile;
  /** Rises with every commit that changes a file of the part (frozen.txt); 0 where that isn't there. */
  generation: number;
}

export const RIGHTS = 'rights.sql';
const TABLE_FILE = /^(\d{4})_[a-z0-9_]+\.sql$/;
const FUNCTION_FILE = /^[a-z0-9_-]+\.sql$/;

/** @throws MigrationError `migrations_invalid` */
export function readPart(dir: string, name: string, generation = 0): Part {
  const folder = join(dir, name);
  const tables = sqlFiles(join(folder, 'tables'), TABLE_FILE, 'NNNN_name.sql').map((file) => ({
    ...file,
    number: Number(file.name.slice(0, 4)),
    ...headerOf(file.text, join(folder, 'tables', file.name)),
  }));
  if (tables.length === 0)
    throw new MigrationError('migrations_invalid', `There is no ${folder}/tables/0001_name.sql.`);
  tables.forEach((file, index) => {
    if (file.number === index + 1) return;
    const expected = String(index + 1).padStart(4, '0');
    const what = file.number <= index ? 'there are two of that number' : `there is none of number ${expected}`;
    throw new MigrationError('migrations_invalid', `${folder}/tables/${file.name} can't be next: ${what}.`);
  });
  const rights = join(folder, RIGHTS);
  return {
    name,
    tables,
    functions: sqlFiles(join(folder, 'functions'), FUNCTION_FILE, 'name.sql'),
    rights: repeatable(RIGHTS, existsSync(rights) ? readFileSync(rights, 'utf8') : ''),
    generation,
  };
}

/** Names of the folders that have tables, in alphabetical order. */
export function partNames(dir: string): string[] {
  return readdirSync(dir, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && existsSync(join(dir, entry.name, 'tables')))
    .map((entry) => entry.name)
    .sort();
}

function sqlFiles(folder: string, form: RegExp, words: string): RepeatableFile[] {
  if (!existsSync(folder)) return [];
  const names = readdirSync(folder).sort();
  const odd = names.find((name) => !form.test(name));
  if (odd !== undefined) {
    throw new MigrationError(
      'migrations_invalid',
      `${join(folder, odd)} has no place there: a file's name is ${words}.`,
    );
  }
  return names.map((name) => repeatable(name, readFileSync(join(folder, name), 'utf8')));
}

/** A checkout with other ends of lines is the same text. */
function repeatable(name: string, read: string): RepeatableFile {
  const text = read.replaceAll('\r\n', '\n');
  return { name, text, checksum: createHash('sha256').update(text).digest('hex') };
}

/** The lines `-- bankhouse: …` that a file begins with. */
function headerOf(text: string, path: string): Pick<TableFile, 'transaction' | 'oldestGeneration'> {
  let transaction = true;
  let oldestGeneration: number | undefined;
  for (const line of text.split('\n')) {
    const said = /^-- bankhouse: (.*)$/.exec(line)?.[1];
    if (said === undefined) break;
    const contract = /^contract (\d+)$/.exec(said)?.[1];
    if (said === 'no transaction') transaction = false;
    else if (contract !== undefined) oldestGeneration = Number(contract);
    else if (!said.startsWith('short lock')) {
      throw new MigrationError(
        'migrations_invalid',
        `${path} begins with "-- bankhouse: ${said}", which is not known.`,
      );
    }
  }
  return { transaction, oldestGeneration };
}
