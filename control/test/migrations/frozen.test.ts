/** What was committed stays as it is: in this repository, and as rules. */
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type MigrationFolder, migrationFolder } from '../../../test/harness/migrations.ts';
import {
  brokenPromises,
  committedFrozen,
  freeze,
  lintPart,
  printFrozen,
  readFrozen,
  readParts,
  rewrittenHistory,
} from '../../src/migrations/index.ts';

const MIGRATIONS = new URL('../../../migrations', import.meta.url).pathname;

describe('the migrations of this repository', () => {
  const parts = readParts(MIGRATIONS);

  it('have every table file as it was committed', () => {
    expect(brokenPromises(committedFrozen(MIGRATIONS), parts)).toEqual([]);
  });

  it('are what frozen.txt says (npm run generate)', () => {
    expect(printFrozen(freeze(committedFrozen(MIGRATIONS), parts))).toBe(printFrozen(readFrozen(MIGRATIONS)));
  });

  it('never had a line of frozen.txt changed or deleted', () => {
    expect(rewrittenHistory(MIGRATIONS)).toEqual([]);
  });

  it('hold no statement that stops writers, or that an older server stumbles over', () => {
    expect(parts.flatMap(lintPart)).toEqual([]);
  });
});

describe('in a repository', () => {
  let folder: MigrationFolder;
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=t', '-c', 'user.email=t@t', ...args], { cwd: folder.dir, stdio: 'pipe' });
  /** `npm run generate` there; @returns what it refuses */
  const generate = () => {
    const parts = readParts(folder.dir);
    const broken = brokenPromises(committedFrozen(folder.dir), parts);
    if (broken.length === 0) folder.write({ 'frozen.txt': printFrozen(freeze(committedFrozen(folder.dir), parts)) });
    return broken;
  };
  const commit = () => {
    git('add', '-A');
    git('commit', '-q', '-m', 'x');
  };
  const generation = () => readFrozen(folder.dir).parts.get('tenants')?.number;

  beforeEach(() => {
    folder = migrationFolder({
      'tenants/tables/0001_notes.sql': 'create table bank.notes ()',
      'tenants/functions/notes.sql': '-- one',
    });
    git('init', '-q');
    expect(generate()).toEqual([]);
    commit();
  });
  afterEach(() => folder[Symbol.dispose]());

  it('a new file may change as often as it likes until it is committed', () => {
    for (const text of ['-- a', '-- b']) {
      folder.write({ 'tenants/tables/0002_tasks.sql': text });
      expect(generate()).toEqual([]);
    }
    commit();
    expect(rewrittenHistory(folder.dir)).toEqual([]);
    folder.write({ 'tenants/tables/0002_tasks.sql': '-- c' });
    expect(generate()).toEqual([
      expect.stringMatching(/^tenants\/tables\/0002_tasks\.sql has changed, but it is frozen/),
    ]);
  });

  it.each<[string, Record<string, string | null>, RegExp]>([
    [
      'changed',
      { 'tenants/tables/0001_notes.sql': 'create table bank.notes (id int)' },
      /0001_notes\.sql has changed, but it is frozen/,
    ],
    [
      'deleted',
      { 'tenants/tables/0001_notes.sql': null, 'tenants/tables/0001_other.sql': '' },
      /0001_notes\.sql is gone, but it is frozen/,
    ],
  ])('a committed file that is %s is refused', (_how, files, sentence) => {
    folder.write(files);
    expect(generate()).toEqual([expect.stringMatching(sentence)]);
  });

  it('the same text with other ends of lines is the same', () => {
    folder.write({ 'tenants/tables/0001_notes.sql': 'create table bank.notes ()\n' });
    folder.write({ 'frozen.txt': null });
    git('add', '-A');
    git('commit', '-q', '--amend', '-m', 'x');
    generate();
    commit();
    folder.write({ 'tenants/tables/0001_notes.sql': 'create table bank.notes ()\r\n' });
    expect(generate()).toEqual([]);
  });

  it('the generation rises by one with a commit that changes the part, and with no other', () => {
    expect(generation()).toBe(1);
    for (const text of ['-- two', '-- three']) {
      folder.write({ 'tenants/functions/notes.sql': text });
      generate();
      expect(generation()).toBe(2);
    }
    commit();
    generate();
    expect(generation()).toBe(2);
    folder.write({ 'tenants/rights.sql': '-- rights' });
    generate();
    expect(generation()).toBe(3);
  });

  it.each<[string, (text: string) => string, RegExp]>([
    [
      'changes a line',
      (text) => text.replace(/(0001_notes\.sql) ./, '$1 x').replace(' x', ' 0'),
      /changes the line of tenants\/tables\/0001_notes\.sql/,
    ],
    [
      'deletes a line',
      (text) => text.replace(/^.*0001_notes.*\n/m, ''),
      /deletes the line of tenants\/tables\/0001_notes\.sql/,
    ],
    [
      'lets a generation go back',
      (text) => text.replace('generation 1', 'generation 0'),
      /generation of tenants go back from 1 to 0/,
    ],
    [
      'leaves a generation as it is',
      (text) => text.replace(/(generation 1) ./, '$1 x').replace(' x', ' 0'),
      /changes tenants and leaves it at generation 1/,
    ],
    ['deletes the file', () => '', /deletes the line/],
  ])('a commit that %s is named, also when a later one put it right', (_what, change, sentence) => {
    const text = printFrozen(readFrozen(folder.dir))
      .replace(/sql [0-9a-f]/, 'sql 1')
      .replace(/generation 1 [0-9a-f]/, 'generation 1 1');
    folder.write({ 'frozen.txt': text });
    git('add', '-A');
    git('commit', '-q', '--amend', '-m', 'x');
    folder.write({ 'frozen.txt': change(text) });
    expect(rewrittenHistory(folder.dir)[0]).toMatch(/^What is here now /);
    commit();
    folder.write({ 'frozen.txt': text });
    commit();
    const [found] = rewrittenHistory(folder.dir);
    expect(found).toMatch(/^Commit [0-9a-f]+ /);
    expect(found).toMatch(sentence);
  });

  it('nothing is said of a history that is not there whole', () => {
    folder.write({ 'frozen.txt': '' });
    using copy = migrationFolder();
    execFileSync('git', ['clone', '-q', '--depth=1', `file://${folder.dir}`, copy.dir], { stdio: 'pipe' });
    copy.write({ 'frozen.txt': '' });
    expect(rewrittenHistory(copy.dir)).toEqual([]);
  });
});
