import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { atEnd, removeFolder } from './at-end.ts';

const ROOT = new URL('../..', import.meta.url).pathname;

/** A folder of migrations, gone at the end of the process at the latest. */
export interface MigrationFolder extends Disposable {
  readonly dir: string;
  /** Writes files by their path in the folder; null removes one. */
  write(files: Readonly<Record<string, string | null>>): void;
}

/** @param files by path, such as `tenants/tables/0001_notes.sql` */
export function migrationFolder(files: Readonly<Record<string, string | null>> = {}): MigrationFolder {
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-migrations-'));
  const forget = atEnd(() => removeFolder(dir));
  const folder: MigrationFolder = {
    dir,
    write(more) {
      for (const [path, text] of Object.entries(more)) {
        const file = join(dir, path);
        mkdirSync(dirname(file), { recursive: true });
        if (text === null) rmSync(file);
        else writeFileSync(file, text);
      }
    },
    [Symbol.dispose]() {
      removeFolder(dir);
      forget();
    },
  };
  folder.write(files);
  return folder;
}

/** The migrations as they were at a commit, for tests of upgrades; with `migrate({ migrationsDir: folder.dir, … })`. */
export function migrationsAt(commit: string): MigrationFolder {
  const archive = execFileSync('git', ['archive', '--format=tar', `${commit}:migrations`], {
    cwd: ROOT,
    maxBuffer: 64 * 1024 * 1024,
  });
  const folder = migrationFolder();
  execFileSync('tar', ['-x', '-C', folder.dir], { input: archive });
  return folder;
}

/** The commits that changed the migrations since there is a frozen.txt, oldest first; along first parents, and short hashes. */
export function migrationCommits(): string[] {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8' }).split('\n').filter(Boolean);
  const log = ['log', '--first-parent', '--reverse', '--format=%h'];
  return git(...log, '--', 'migrations/frozen.txt');
}
