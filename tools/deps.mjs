/** `npm ci` when node_modules isn't what package-lock.json says; started by whatever Node.js the machine has. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';

const INSTALLED = 'node_modules/.package-lock.json';

if (isStale()) await install();

async function install() {
  const start = performance.now();
  const seconds = () => Math.round((performance.now() - start) / 1000);
  console.log('installing npm packages');
  const timer = setInterval(() => console.log(`installing npm packages, ${seconds()} s so far …`), 10_000);
  const child = spawn('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  child.on('error', (error) => console.error(`npm can't be started: ${error.message}. Install Node.js 20 or newer.`));
  const [code] = await once(child, 'close');
  clearInterval(timer);
  if (code === 0) console.log(`installing npm packages: ${seconds()} s`);
  process.exitCode = code === 0 ? 0 : 1;
}

/** Whether a package is missing, has another version, or is there though the lockfile doesn't know it. */
function isStale() {
  if (!existsSync(INSTALLED) || !existsSync('node_modules/node/bin/node')) return true;
  const installed = packagesOf(INSTALLED);
  const wanted = packagesOf('package-lock.json');
  for (const [path, { version, optional }] of wanted) {
    // What is optional is for some platforms only.
    if (installed.get(path)?.version !== version && !(optional && !installed.has(path))) return true;
  }
  return [...installed.keys()].some((path) => !wanted.has(path));
}

function packagesOf(file) {
  const { packages } = JSON.parse(readFileSync(file, 'utf8'));
  return new Map(Object.entries(packages).filter(([path, { link }]) => path.includes('node_modules/') && !link));
}
