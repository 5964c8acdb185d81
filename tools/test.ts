/** `make test`: static checks, unit, integration, the platform brought up, end to end, upgraded and back, and gone without a trace. */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { buildAll, installPackages } from './build/index.ts';
import { ROOT, STATE, say } from './shared/index.ts';

const RESULTS = join(STATE, 'test-results');
const VITEST = join(ROOT, 'node_modules/vitest/vitest.mjs');

interface Outcome {
  passed: number;
  failed: number;
}

/** What is read of the file that vitest's JSON reporter writes. */
interface Report {
  numPassedTests: number;
  numFailedTests: number;
  testResults: {
    name: string;
    status: string;
    message: string;
    assertionResults: { fullName: string; status: string; failureMessages: string[] }[];
  }[];
}

const total: Outcome = { passed: 0, failed: 0 };
const trouble: string[] = [];
/** Each failed test with the first line of its message, said again at the end: whoever sees only the end of a log must not guess. */
const failures: string[] = [];

rmSync(RESULTS, { recursive: true, force: true });
mkdirSync(RESULTS, { recursive: true });
await stage('static checks', () => script('verify.ts'));
await stage('unit tests', () => vitest('unit'));
const isReady = await stage('programs for the tests', async () => {
  await installPackages({ forTests: true });
  await Promise.all(buildAll().values());
  return true;
});
if (isReady) {
  await stage('integration tests', () => vitest('integration'));
  if (await stage('make up', () => script('up.ts'))) {
    await stage('end-to-end tests', () => vitest('e2e'));
    await stage('upgrade from the version before, and back', () => vitest('upgrade'));
  }
  await stage('tests of the cluster itself', () => vitest('cluster'));
  await stage('make down', () => script('down.ts'));
}
if (trouble.length > 0) say(`\nnot in order: ${trouble.join(', ')}`);
for (const failure of failures) say(failure);
say(`${total.passed} passed, ${total.failed} failed`);
process.exitCode = total.failed === 0 && trouble.length === 0 ? 0 : 1;

/** Does one part and goes on whatever comes of it. A part that fails without a failed test in it counts as one. */
async function stage(name: string, work: () => Promise<boolean>): Promise<boolean> {
  say(`\n== ${name}`);
  const start = performance.now();
  const failedBefore = total.failed;
  const isGood = await work().catch((error: unknown) => {
    say(error instanceof Error ? error.message : String(error));
    return false;
  });
  if (!isGood) {
    trouble.push(name);
    if (total.failed === failedBefore) total.failed += 1;
  }
  say(`== ${name}: ${isGood ? 'good' : 'FAILED'}, ${((performance.now() - start) / 1000).toFixed(0)} s`);
  return isGood;
}

function script(name: string): Promise<boolean> {
  return execute([join(ROOT, 'tools', name)]);
}

/** One vitest project; its counts go to the total. */
async function vitest(project: string): Promise<boolean> {
  const results = join(RESULTS, `${project}.json`);
  const isGood = await execute([
    ...[VITEST, 'run', '--project', project, '--reporter=default', '--reporter=json'],
    `--outputFile.json=${results}`,
  ]);
  if (!existsSync(results)) return false;
  const report = JSON.parse(readFileSync(results, 'utf8')) as Report;
  total.passed += report.numPassedTests;
  total.failed += report.numFailedTests;
  for (const file of report.testResults) {
    const failed = file.assertionResults.filter(({ status }) => status === 'failed');
    const messages = failed.map(({ fullName, failureMessages }) => `${fullName}: ${failureMessages[0] ?? ''}`);
    // A file that fails outside of its tests, in a hook or on import, has a message of its own.
    if (failed.length === 0 && file.status === 'failed') messages.push(file.message);
    failures.push(...messages.map((message) => `  ${relative(ROOT, file.name)}: ${message.split('\n')[0]}`));
  }
  return isGood;
}

function execute(args: string[]): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'inherit', 'inherit'] });
    child.on('error', () => resolve(false));
    child.on('exit', (code) => resolve(code === 0));
  });
}
