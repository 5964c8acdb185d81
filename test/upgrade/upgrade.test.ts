/**
 * `helm upgrade` from the version before, and back, while banks are called all the time: no call fails, and no bank's pod is replaced
 * where nothing of what it runs by has changed. In the end the platform is as it was.
 */
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { say } from '../../tools/shared/index.ts';
import {
  BIN,
  bankManifest,
  conditionOf,
  kubectl,
  kubectlJson,
  mintToken,
  platform,
  ROOT,
  run,
  STATE,
  SYSTEM_NAMESPACE,
  sampleBank,
  tryKubectl,
  until,
} from '../e2e/platform.ts';
import { Callers } from './callers.ts';
import { VERSION_BEFORE, type Version, valuesOf, versionBefore } from './version-before.ts';

/** A bank whose class names an image: nothing of it changes with the platform's version. */
const PINNED = 'upgrade-pinned';
const SAMPLES = [sampleBank(0), sampleBank(1)];
const PAUSE_MS = 300;
const LIMIT_MS = 180_000;
/**
 * What the version before can't do and is mended since, by where it shows: nobody can mend it there. At most one call in a hundred may fail of
 * it. Goes with the next version before.
 */
const MENDED_SINCE = {
  /** Its new pods don't wait until network policies know their addresses. */
  start: /database_unavailable/,
  /** Its ending pods close connections under what was just sent to them. */
  end: /closed the connection without an answer|HTTP 502/,
};
/** Says to the next `make up` that the chart is installed as it is in this clone. */
const STAMP = join(STATE, 'node/installed');

interface Values extends Record<string, unknown> {
  image: { platform: object; server: { tag: string } & object };
}

interface Workloads {
  items: {
    kind: string;
    metadata: { name: string; uid: string; labels?: Record<string, string>; annotations?: Record<string, string> };
    spec: { template?: { spec: { containers: { image: string }[] } } };
    status: {
      conditions?: { type: string; status: string }[];
      containerStatuses?: { restartCount: number; image: string }[];
    };
  }[];
}

let current: Version;
let before: Version;
let values: Values;
let callers: Callers;
/** How many of the failures were looked at. */
let judged = 0;
let hasEnded = false;

beforeAll(async () => {
  values = JSON.parse(await helm('get', 'values', 'bankhouse', '-o', 'json')) as Values;
  const { platform: ours, server } = values.image as unknown as Record<'platform' | 'server', { tag: string }>;
  current = { chart: join(ROOT, 'charts/bankhouse'), tags: { platform: ours.tag, server: server.tag } };
  before = await told(`tree and images of ${VERSION_BEFORE}`, () => versionBefore(current.tags));
  await kubectl(
    ['apply', '-f', '-'],
    JSON.stringify({
      apiVersion: 'bankhouse.dev/v1alpha1',
      kind: 'BankClass',
      metadata: { name: PINNED },
      spec: { image: `localhost/bankhouse/server:${before.tags.server}` },
    }),
  );
  await kubectl(['apply', '-f', '-'], bankManifest(PINNED, { className: PINNED, vaults: [{ id: 'sales' }] }));
  await conditionOf(PINNED, 'Ready', 'True');
  const token = await mintToken(PINNED);
  if (existsSync(STAMP)) renameSync(STAMP, `${STAMP}.kept`);
  callers = new Callers([...SAMPLES, { id: PINNED, url: `${platform.frontDoor}/mcp/bank-${PINNED}`, token }], PAUSE_MS);
}, 2 * LIMIT_MS);

afterAll(async () => {
  await callers?.stop();
  // Whatever failed: what comes after meets the version of this clone.
  if (!hasEnded && current !== undefined) await install(current);
  if (existsSync(`${STAMP}.kept`)) renameSync(`${STAMP}.kept`, STAMP);
  await tryKubectl(['annotate', 'bank', PINNED, '-n', 'banks', 'bankhouse.dev/erase-now=true']);
  await tryKubectl(['delete', 'bank', PINNED, '-n', 'banks', '--ignore-not-found', '--timeout=60s']);
  await tryKubectl(['delete', 'bankclass', PINNED, '--ignore-not-found', '--timeout=60s']);
}, 2 * LIMIT_MS);

describe('an upgrade from the version before, under calls all the time', () => {
  it('begins with the version before: going back to it fails no call', () => moves(() => before), LIMIT_MS);

  it.each([
    ['to this version', () => current],
    ['back', () => before],
    ['to this version once more', () => current],
  ])(
    '%s: no call fails, and the pod of a bank that keeps its image stays',
    async (_sentence, version) => {
      const kept = await podsOf(PINNED);
      await moves(version);
      expect(await podsOf(PINNED)).toEqual(kept);
    },
    LIMIT_MS,
  );

  it('and at the end a thousand calls have been made', async () => {
    await callers.stop();
    expect(callers.failures.slice(judged)).toEqual([]);
    say(`${callers.succeeded} calls, the slowest took ${Math.round(callers.slowestMs)} ms`);
    expect(callers.succeeded).toBeGreaterThan(1000);
    hasEnded = true;
  });
});

/** Installs a version; while that lasts no call fails, and each sample bank's pod is replaced once, as its image is another. */
async function moves(to: () => Version): Promise<void> {
  const version = to();
  const { succeeded } = callers;
  const revisions = await Promise.all(SAMPLES.map(({ id }) => revisionOf(id)));
  await install(version);
  const name = version === before ? VERSION_BEFORE : 'this version';
  const made = callers.succeeded - succeeded;
  const failures = callers.failures.slice(judged);
  judged += failures.length;
  say(`${name}: ${made} calls, ${failures.length} failed`);
  const mended = version === before ? MENDED_SINCE.start : MENDED_SINCE.end;
  expect(failures.filter(({ message }) => !mended.test(message))).toEqual([]);
  expect(failures.length).toBeLessThanOrEqual(made / 100);
  expect(made).toBeGreaterThan(50);
  expect(await Promise.all(SAMPLES.map(({ id }) => revisionOf(id)))).toEqual(revisions.map((revision) => revision + 1));
}

/** `helm upgrade`, and what it leads to: the platform's pods, then those of banks, then nothing more. */
async function install(version: Version): Promise<void> {
  const { image } = values;
  const wanted = {
    ...values,
    image: {
      platform: { ...image.platform, tag: version.tags.platform, revision: version.tags.platform },
      server: { ...image.server, tag: version.tags.server },
    },
  };
  const file = join(STATE, 'upgrade-values.json');
  writeFileSync(file, JSON.stringify(valuesOf(version.chart, wanted)), { mode: 0o600 });
  await told('helm upgrade', () => helm('upgrade', 'bankhouse', version.chart, '--values', file));
  rmSync(file);
  await told('the platform', () =>
    Promise.all(
      ['operator', 'gateway', 'control'].map((name) =>
        kubectl(['rollout', 'status', '-n', SYSTEM_NAMESPACE, `deployment/bankhouse-${name}`, '--timeout=120s']),
      ),
    ),
  );
  await told('the banks', async () => {
    await until('the sample banks to run their image, and no more', async () => {
      for (const { id } of SAMPLES) {
        const pods = await podsOf(id);
        if (pods.length !== 1 || !pods.every((pod) => pod.endsWith(`:${version.tags.server} ready 0`))) return false;
      }
      return true;
    });
    await until('an operator with nothing to do', operatorRests);
    for (const id of [...SAMPLES.map((bank) => bank.id), PINNED]) await conditionOf(id, 'Ready', 'True');
  });
}

/** Uid, image, readiness and restarts of each pod of a bank. */
async function podsOf(id: string): Promise<string[]> {
  const { items } = await kubectlJson<Workloads>(['get', 'pods', '-n', 'banks', '-l', `bankhouse.dev/bank=${id}`]);
  return items.map(({ metadata, status }) => {
    const ready = status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true;
    const [container] = status.containerStatuses ?? [];
    return `${metadata.uid} ${container?.image} ${ready ? 'ready' : 'unready'} ${container?.restartCount}`;
  });
}

/** How often the bank's pods were wanted otherwise. */
async function revisionOf(id: string): Promise<number> {
  const deployment = await kubectlJson<Workloads['items'][number]>(['get', 'deployment', `bank-${id}`, '-n', 'banks']);
  return Number(deployment.metadata.annotations?.['deployment.kubernetes.io/revision']);
}

/** One operator, which has looked at every bank and waits for nothing but time. */
async function operatorRests(): Promise<boolean> {
  const component = 'app.kubernetes.io/component=operator';
  const { items } = await kubectlJson<Workloads>(['get', 'pods', '-n', SYSTEM_NAMESPACE, '-l', component]);
  const [pod] = items;
  if (pod === undefined || items.length > 1) return false;
  const path = `/api/v1/namespaces/${SYSTEM_NAMESPACE}/pods/${pod.metadata.name}:9090/proxy/metrics`;
  const metrics = await kubectl(['get', '--raw', path]);
  const sum = (name: RegExp) => [...metrics.matchAll(name)].reduce((total, [, value]) => total + Number(value), 0);
  const passes = sum(/^bankhouse_operator_pass_seconds_count\{[^}]*kind="Bank"[^}]*\} (\d+)$/gm);
  return passes >= SAMPLES.length + 1 && sum(/^bankhouse_operator_queue_length\{[^}]*\} (\d+)$/gm) === 0;
}

async function helm(...args: string[]): Promise<string> {
  const ran = await run(join(BIN, 'helm'), [...args, '-n', SYSTEM_NAMESPACE]);
  if (ran.code !== 0) throw new Error(`helm ${args[0]}: ${ran.stderr}`);
  return ran.stdout;
}

async function told<T>(what: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  say(`${what}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  return result;
}
