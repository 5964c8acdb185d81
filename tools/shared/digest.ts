import { createHash, type Hash } from 'node:crypto';
import { lstatSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';

/** SHA-256 over texts and the contents of files and folders (names and contents, not times), as 16 hex digits. */
export function digest(inputs: { texts?: readonly string[]; paths?: readonly string[] }): string {
  const hash = createHash('sha256');
  for (const text of inputs.texts ?? []) hash.update(`${text.length}:${text}`);
  for (const path of inputs.paths ?? []) addPath(hash, path, '');
  return hash.digest('hex').slice(0, 16);
}

function addPath(hash: Hash, path: string, name: string): void {
  const stat = lstatSync(path, { throwIfNoEntry: false });
  if (stat === undefined) {
    hash.update(`absent ${name}\n`);
  } else if (stat.isDirectory()) {
    for (const entry of readdirSync(path).sort()) addPath(hash, join(path, entry), `${name}/${entry}`);
  } else if (stat.isSymbolicLink()) {
    hash.update(`link ${name} ${readlinkSync(path)}\n`);
  } else {
    hash.update(`file ${name} ${stat.size}\n`).update(readFileSync(path));
  }
}
