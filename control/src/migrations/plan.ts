import { MigrationError } from './errors.ts';
import type { Part, RepeatableFile, TableFile } from './files.ts';

/** A row of the record: a file of a part as it was applied last. */
export interface Applied {
  kind: 'table' | 'function' | 'rights';
  name: string;
  /** Of the rights '' once something of the part was applied after them. */
  checksum: string;
  generation: number;
  oldestGeneration: number | null;
}

/** What is to be done to a part, decided from what was done. */
export interface Plan {
  tables: readonly TableFile[];
  /** Undefined: the functions and rights are as they should be, or a newer release's. */
  functions: { files: readonly RepeatableFile[]; gone: readonly string[] } | undefined;
  /** Set where a newer release was here: the generation of its schema. */
  newer: number | undefined;
}

/**
 * A newer release's functions are left alone: its servers may still be there, and ours can call them (docs/adr/0016).
 *
 * @throws MigrationError `migration_changed`, `migration_missing`, `migration_gap`, `schema_too_new`
 */
export function planFor(part: Part, applied: readonly Applied[]): Plan {
  const ours = part.tables.length;
  const tables = new Map(applied.filter(({ kind }) => kind === 'table').map((row) => [row.name, row]));
  const numbers = [...tables.keys()].map((name) => Number(name.slice(0, 4)));
  const generation = Math.max(0, ...applied.map((row) => row.generation));
  checkContract(part, applied);
  const unknown = [...tables.keys()].filter((name) => !part.tables.some((file) => file.name === name));
  const missing = unknown.find((name) => Number(name.slice(0, 4)) <= ours);
  if (missing !== undefined) {
    throw new MigrationError(
      'migration_missing',
      `${part.name}/tables/${missing} was applied to this database, and this release does not have it: they have different histories.`,
    );
  }
  const changed = part.tables.find((file) => (tables.get(file.name)?.checksum ?? file.checksum) !== file.checksum);
  if (changed !== undefined) {
    throw new MigrationError(
      'migration_changed',
      `${part.name}/tables/${changed.name} was applied with another text: put it back as it was, and write a new numbered file.`,
    );
  }
  const pending = part.tables.filter((file) => !tables.has(file.name));
  const skipped = pending.find((file) => file.number < Math.max(0, ...numbers));
  if (skipped !== undefined) {
    throw new MigrationError(
      'migration_gap',
      `${part.name}/tables/${skipped.name} was never applied to this database, though later ones were: they have different histories.`,
    );
  }
  return {
    tables: pending,
    functions: repeatables(part, applied, pending),
    newer: unknown.length > 0 || generation > part.generation ? generation : undefined,
  };
}

function checkContract(part: Part, applied: readonly Applied[]): void {
  const oldest = Math.max(0, ...applied.map((row) => row.oldestGeneration ?? 0));
  if (oldest <= part.generation) return;
  throw new MigrationError(
    'schema_too_new',
    `The part ${part.name} of this database works with releases of generation ${oldest} or newer, and this one is of generation ${part.generation}: install a newer release.`,
  );
}

/** By their own generation: a newer release may have changed tables here and then failed, before it came to its functions. */
function repeatables(part: Part, applied: readonly Applied[], pending: readonly TableFile[]): Plan['functions'] {
  if (applied.some(({ kind, generation }) => kind !== 'table' && generation > part.generation)) return undefined;
  const functions = new Map(applied.filter(({ kind }) => kind === 'function').map((row) => [row.name, row]));
  const rights = applied.find(({ kind }) => kind === 'rights');
  const files = part.functions.filter((file) => functions.get(file.name)?.checksum !== file.checksum);
  // A file that comes back must be applied, even with the text that it had.
  const gone = [...functions.keys()].filter((name) => !part.functions.some((file) => file.name === name));
  const settled = rights?.checksum === part.rights.checksum && rights.generation === part.generation;
  if (settled && pending.length + files.length + gone.length === 0) return undefined;
  return { files, gone };
}
