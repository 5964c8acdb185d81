import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Fault, LOGS, run, step } from '../shared/index.ts';

const LOG = `${LOGS}/apt.log`;

/** What each Debian package is needed for, by a file that it brings. */
const FILES: Record<string, string> = {
  runc: '/usr/sbin/runc',
  'containernetworking-plugins': '/usr/lib/cni/bridge',
  iproute2: '/usr/bin/ip',
  iptables: '/usr/sbin/iptables',
  nftables: '/usr/sbin/nft',
  ipset: '/usr/sbin/ipset',
  conntrack: '/usr/sbin/conntrack',
  socat: '/usr/bin/socat',
  buildah: '/usr/bin/buildah',
  mmdebstrap: '/usr/bin/mmdebstrap',
  openssl: '/usr/bin/openssl',
  kmod: '/usr/sbin/modprobe',
  gcc: '/usr/bin/gcc',
  'libc6-dev': '/usr/include/stdio.h',
  'ca-certificates': '/etc/ssl/certs/ca-certificates.crt',
};
/** What the integration tests need: a Postgres of this host. */
const TEST_FILES: Record<string, string> = {
  'postgresql-15': '/usr/lib/postgresql/15/bin/postgres',
  'python3-venv': '/var/lib/dpkg/info/python3-venv.list',
};

/** Installs the Debian packages that are missing; none, in no time, when all are there. */
export async function installPackages(options: { forTests?: boolean } = {}): Promise<void> {
  const files = options.forTests ? { ...FILES, ...TEST_FILES } : FILES;
  const missing = Object.keys(files).filter((name) => !existsSync(files[name] as string));
  if (missing.length === 0) return;
  if (process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) {
    throw new Fault(
      `These programs are missing: install the Debian packages ${missing.join(' ')}, or run this as root on Debian.`,
    );
  }
  await step(`installing ${missing.length} Debian packages`, async (current) => {
    const env = { DEBIAN_FRONTEND: 'noninteractive' };
    const onOutput = (text: string) => {
      current.detail = /(?:Get:\d+ \S+ \S+ \S+ (\S+)|Setting up (\S+))/.exec(text)?.slice(1).join('') || current.detail;
    };
    await run('apt-get', ['update', '-q'], { env, log: LOG, onOutput });
    if (missing.includes('postgresql-15')) keepPostgresQuiet();
    const quiet = ['-o', 'Dpkg::Options::=--force-confold', '-o', 'DPkg::Lock::Timeout=300'];
    await run('apt-get', ['install', '-q', '-y', '--no-install-recommends', ...quiet, ...missing], {
      env,
      log: LOG,
      onOutput,
    });
  });
}

/** The tests run Postgres themselves: its package shall make and start no server of its own. */
function keepPostgresQuiet(): void {
  const file = '/etc/postgresql-common/createcluster.conf';
  if (existsSync(file)) return;
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, 'create_main_cluster = false\n');
}
