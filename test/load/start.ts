/**
 * `npx node test/load/start.ts [runs]`: from the start of a bank server's process until it listens, with all toolsets, as its image
 * runs it: the bundle, V8's options, the compile cache. Wall time, which a busy machine stretches, and the main thread's processor
 * time, which it stretches less; each with an empty cache and with the one that the image brings.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SECRET_DATABASE_URL, SECRET_SEAL_KEYS, TOOLSETS } from '@bankhouse/core';
import { bundleServer } from '../../tools/bundle.ts';
import { quantile } from './measure.ts';

const ROOT = new URL('../..', import.meta.url).pathname;
/** The program itself: what npm puts into .bin starts it by a shell script. */
const NODE = join(ROOT, 'node_modules/node/bin/node');
/** The CMD of the image `server`, without the program's path. */
const OPTIONS = optionsOf(readFileSync(join(ROOT, 'Dockerfile'), 'utf8'));
/** Says on standard error when a server listens; measures by itself, as it runs within the process. */
const PROBE = `
const { Server } = require('node:net');
const { writeSync } = require('node:fs');
const { listen } = Server.prototype;
Server.prototype.listen = function (...args) {
  this.once('listening', () => {
    const { user, system } = process.threadCpuUsage();
    writeSync(2, JSON.stringify({ wall: performance.now(), cpu: (user + system) / 1000 }) + '\\n');
  });
  return listen.apply(this, args);
};`;

interface Start {
  wall: number;
  cpu: number;
}

function optionsOf(dockerfile: string): string[] {
  const [, command = '[]'] = /^FROM \S+ AS server$[\s\S]*?^CMD (\[.*\])$/m.exec(dockerfile) ?? [];
  return (JSON.parse(command) as string[]).filter((part) => part.startsWith('--'));
}

async function startOnce(dir: string, cache: string | undefined): Promise<Start> {
  const child = spawn(NODE, [...OPTIONS, '--require', join(dir, 'probe.cjs'), join(dir, 'server.cjs')], {
    env: {
      BANK_ID: 'bench',
      SECRET_DIR: dir,
      PORT: '0',
      TOOLSETS: TOOLSETS.join(','),
      MALLOC_ARENA_MAX: '1',
      ...(cache === undefined ? {} : { NODE_COMPILE_CACHE: cache }),
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const [line] = await once(child.stderr, 'data');
  const start: Start = JSON.parse(String(line));
  child.kill('SIGKILL');
  await once(child, 'exit');
  return start;
}

/** As the image's stage `warm` does. */
async function makeCache(dir: string, cache: string): Promise<void> {
  const child = spawn(NODE, [...OPTIONS, join(dir, 'warm.cjs'), join(dir, 'server.cjs')], {
    env: { NODE_COMPILE_CACHE: cache, TOOLSETS: TOOLSETS.join(',') },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'exit');
  if (code !== 0) throw new Error(`warm.cjs ended with ${code}`);
}

async function main(): Promise<void> {
  const runs = Number(process.argv[2] ?? 20);
  const dir = mkdtempSync(join(tmpdir(), 'bankhouse-start-'));
  try {
    await bundleServer(dir);
    writeFileSync(join(dir, 'probe.cjs'), PROBE);
    writeFileSync(join(dir, SECRET_SEAL_KEYS), JSON.stringify({ 1: Buffer.alloc(32, 1).toString('base64') }));
    writeFileSync(join(dir, SECRET_DATABASE_URL), 'postgres://nobody@127.0.0.1:1/none');
    const cache = join(dir, 'cache');
    await makeCache(dir, cache);
    await report('without a cache', runs, () => startOnce(dir, undefined));
    await report("with the image's cache", runs, () => startOnce(dir, cache));
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function report(name: string, runs: number, start: () => Promise<Start>): Promise<void> {
  const starts: Start[] = [];
  for (let run = 0; run < runs; run++) starts.push(await start());
  const of = (key: keyof Start, q: number) =>
    quantile(
      starts.map((each) => each[key]).sort((a, b) => a - b),
      q,
    ).toFixed(0);
  console.log(
    `${name.padEnd(24)} listening after p50 ${of('wall', 0.5)} ms, p95 ${of('wall', 0.95)} ms, at best ${of('wall', 0)} ms; processor time p50 ${of('cpu', 0.5)} ms`,
  );
}

await main();
