/**
 * `npx node test/load/hostile.ts [--turns 3] [--calls 400]`: what honest callers feel of hostile clients at the same gateway, and what memory these
 * take: 200 slow bodies, 256 slow readers, a thousand forged tokens a second, each alone and all together. The honest ones, one at the
 * attacked bank and one at another, call a hundred times a second, alone and beside the attack by turns within one run. Exit 1: a call
 * of theirs failed, a p95 beside is more than twice that alone, or the gateway had more memory than its container may have.
 */
import { cpus, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { messageOf } from '@bankhouse/core';
import type { Attack } from './hostile-clients.ts';
import { measureHostile, memoryLimit } from './hostile-run.ts';
import { BenchError } from './ways.ts';

const MOST = 2;
const WARM_UP = 100;
const PHASES: Readonly<Record<string, readonly Attack[]>> = {
  'slow bodies of one subject': ['slow bodies of one subject'],
  'slow bodies of 200 subjects': ['slow bodies of 200 subjects'],
  'slow readers': ['slow readers'],
  'forged tokens': ['forged tokens'],
  'all together': ['slow bodies of one subject', 'slow readers', 'forged tokens'],
};

function readOptions(): { turns: number; calls: number } {
  const { values } = parseArgs({
    options: { turns: { type: 'string', default: '3' }, calls: { type: 'string', default: '400' } },
  });
  const number = (name: keyof typeof values) => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 1 && value <= 100_000) return value;
    throw new BenchError(`--${name} must be a whole number from 1 to 100000.`);
  };
  return { turns: number('turns'), calls: number('calls') };
}

async function main(): Promise<void> {
  const { turns, calls } = readOptions();
  const limit = memoryLimit();
  const load = loadavg().map((minutes) => minutes.toFixed(1));
  console.log(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}, load average ${load.join(', ')};`);
  console.log(`clients and bank on the same cores; ${turns} turns of ${calls} calls of each honest caller and side`);
  const phases = await measureHostile({ phases: PHASES, turns, calls, warmUp: WARM_UP });
  for (const { name, honest, answers, peakBytes, cpu } of phases) {
    const said = Object.entries(answers).map(([what, times]) => `${what} × ${times}`);
    console.log(
      `${name}: the gateway took ${(cpu * 100).toFixed(0)} % of a core; attackers got ${said.join(', ') || 'no answer'}`,
    );
    for (const { name: who, alone, beside, ratio, failed } of honest) {
      console.log(
        `  ${who.padEnd(28)} p50 ${beside.p50.toFixed(2)} ms (alone ${alone.p50.toFixed(2)}), ` +
          `p95 ${beside.p95.toFixed(2)} ms (alone ${alone.p95.toFixed(2)}), ${failed.length} failed`,
      );
      for (const failure of new Set(failed)) console.log(`    ${failure}`);
      judge(
        `${name}: p95 of ${who}`,
        `${ratio.toFixed(2)} ×`,
        `at most ${MOST} ×, none failed`,
        ratio <= MOST && failed.length === 0,
      );
    }
    judge(`${name}: memory`, mebibytes(peakBytes), `at most ${mebibytes(limit)}`, peakBytes <= limit);
  }
}

const mebibytes = (bytes: number) => `${(bytes / 1024 / 1024).toFixed(0)} MiB`;

function judge(what: string, measured: string, target: string, isMet: boolean): void {
  if (!isMet) process.exitCode = 1;
  console.log(`  ${what}: ${measured}; TARGET ${target}: ${isMet ? 'met' : 'missed'}`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`hostile bench: ${messageOf(error).replaceAll('\n', ' ')}\n`);
  process.exitCode = 1;
}
