import { execFileSync } from 'node:child_process';
import { FROZEN, type Frozen, parseFrozen, readFrozen, rewrites } from './frozen.ts';

/**
 * What the last commit's frozen.txt says, empty where it has none; without a git folder, what the file says now. So a file is
 * frozen from its first commit on, and not before.
 */
export function committedFrozen(dir: string): Frozen {
  if (git(dir, ['rev-parse', '--verify', 'HEAD']) === undefined) return readFrozen(dir);
  return at(dir, 'HEAD');
}

/**
 * One sentence for each commit that broke what an earlier one had promised, and for what the folder has now. Nothing where
 * there is no history to look at, or only the end of one. Along first parents: what a branch did before it was merged was
 * promised to nobody.
 */
export function rewrittenHistory(dir: string): string[] {
  if (git(dir, ['rev-parse', '--is-shallow-repository'])?.trim() !== 'false') return [];
  const log = git(dir, ['log', '--first-parent', '--reverse', '--format=%h', '--', FROZEN]) ?? '';
  let before = parseFrozen('');
  const sentences: string[] = [];
  for (const commit of log.split('\n').filter(Boolean)) {
    const after = at(dir, commit);
    sentences.push(...rewrites(before, after).map((what) => `Commit ${commit} ${what}.`));
    before = after;
  }
  return [...sentences, ...rewrites(before, readFrozen(dir)).map((what) => `What is here now ${what}.`)];
}

function at(dir: string, commit: string): Frozen {
  return parseFrozen(git(dir, ['show', `${commit}:./${FROZEN}`]) ?? '');
}

/** Undefined where git says no, or is not there. */
function git(dir: string, args: string[]): string | undefined {
  try {
    return execFileSync('git', args, { cwd: dir, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  } catch {
    return undefined;
  }
}
