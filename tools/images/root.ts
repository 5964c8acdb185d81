import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { digest, LOGS, ROOT, run, STATE } from '../shared/index.ts';

export const IMAGES_STATE = join(STATE, 'images');

interface Root {
  name: string;
  packages: readonly string[];
  /** Lines for /etc/passwd beside root's; the group has the same name and number. */
  users: Record<string, number>;
  /** Shell lines run on the host with the new root's folder as $1. */
  trim: string;
}

export const BASE_ROOT: Root = {
  name: 'base',
  packages: ['libstdc++6', 'libatomic1', 'ca-certificates'],
  users: { nonroot: 65532 },
  trim: 'cd "$1" && rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/i18n var/cache var/lib/dpkg',
};

export const POSTGRES_ROOT: Root = {
  name: 'postgres',
  packages: ['postgresql-15', 'bash', 'dash', 'coreutils', 'findutils', 'tzdata'],
  users: { postgres: 999 },
  // Just-in-time compilation is half of the image and nothing for queries of milliseconds; perl serves Debian's own scripts.
  trim: `cd "$1"
rm -rf usr/share/doc usr/share/man usr/share/locale usr/share/i18n usr/share/perl* usr/lib/*/perl* usr/bin/perl* var/cache var/lib/dpkg
rm -rf usr/lib/*/libLLVM* usr/lib/*/libz3* usr/lib/llvm* usr/lib/postgresql/15/lib/bitcode usr/lib/postgresql/15/lib/llvmjit* usr/share/postgresql/15/man
mkdir -p var/lib/postgresql/data var/run docker-entrypoint-initdb.d
install -d -m 2775 run/postgresql
chown -R 999:999 var/lib/postgresql run/postgresql`,
};

/** A folder with root.tar, a minimal Debian root of these packages, and the files of /etc that no package's script made. Made once. */
export async function makeRoot(root: Root): Promise<string> {
  const folder = join(IMAGES_STATE, `root-${root.name}-${digest({ texts: [JSON.stringify(root)] })}`);
  if (existsSync(folder)) return folder;
  const work = `${folder}.new`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  await run(
    'mmdebstrap',
    [
      ...['--variant=extract', `--include=${root.packages.join(',')}`, '--quiet', `--extract-hook=${root.trim}`],
      ...['bookworm', join(work, 'root.tar')],
    ],
    { log: join(LOGS, 'images.log'), cwd: ROOT },
  );
  const users = Object.entries(root.users);
  writeFileSync(
    join(work, 'passwd'),
    ['root:x:0:0::/root:/bin/sh', ...users.map(([name, id]) => `${name}:x:${id}:${id}::/tmp:/bin/sh`), ''].join('\n'),
  );
  writeFileSync(join(work, 'group'), ['root:x:0:', ...users.map(([name, id]) => `${name}:x:${id}:`), ''].join('\n'));
  writeFileSync(join(work, 'nsswitch.conf'), 'passwd: files\ngroup: files\nhosts: files dns\n');
  renameSync(work, folder);
  return folder;
}
