#!/usr/bin/env node
// Starts the CLI under whatever Node.js the user has: packaged as plain JavaScript, it is just loaded; in a checkout its
// TypeScript needs a Node.js that strips types, which the project brings along as a package.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

const packaged = new URL('../dist/cli.mjs', import.meta.url);
const source = new URL('../src/cli/main.ts', import.meta.url);
const MAJOR_THAT_STRIPS_TYPES = 24;

if (existsSync(packaged)) {
  await import(packaged.href);
} else if (Number.parseInt(process.versions.node, 10) >= MAJOR_THAT_STRIPS_TYPES) {
  await import(source.href);
} else {
  let node;
  try {
    node = createRequire(import.meta.url).resolve('node/bin/node');
  } catch {
    console.error(
      `bankhouse: this checkout needs Node.js ${MAJOR_THAT_STRIPS_TYPES} or newer; run "npm ci" first, which brings it.`,
    );
    process.exit(1);
  }
  const child = spawn(node, [fileURLToPath(source), ...process.argv.slice(2)], { stdio: 'inherit' });
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    console.error(`bankhouse: ${node} can't be started: ${error.message}`);
    process.exitCode = 1;
  });
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 1);
  });
}
