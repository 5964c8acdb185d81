/**
 * From 300 Banks created at once to all their children and statuses, beside the same objects written bare to the same API server in the same
 * run, by as many connections. Targets: 1.5 times as long, six writes a bank. Exits with 1 above them. There is no kubelet, so no bank
 * becomes Ready: the second status and the Event are not in the count, and are counted in test/integration/operator/bank.test.ts.
 *
 * Where all share a few cores that are never idle, what takes long is what takes processor time: printed for both ways by who took it. It varies
 * less than seconds do.
 *
 *     BANKHOUSE_BIN=.cluster/bin node test/load/operator-create.ts [--banks 300]
 */
import { parseArgs } from 'node:util';
import { type Bank, createLogger } from '@bankhouse/core';
import { createReflector, type KubeObject, MERGE_PATCH_TYPE } from '@bankhouse/kube';
import { type ApiServer, startApiServer } from '../harness/apiserver.ts';
import { startPostgres } from '../harness/postgres.ts';
import { MeasuredOperator } from './operator-process.ts';
import { processorTime } from './processor.ts';

const TARGET = { ratio: 1.5, writes: 6 };
const CONNECTIONS = 16;
const LIMIT_MS = 300_000;
const API = '/apis/bankhouse.dev/v1alpha1';
const [WARM, MADE, BARE] = ['warm', 'made', 'bare'];

const { values } = parseArgs({ options: { banks: { type: 'string', default: '300' } } });
const count = Number(values.banks);
const banksIn = (namespace: string) => `${API}/namespaces/${namespace}/banks`;

const [api, postgres] = await Promise.all([startApiServer(), startPostgres()]);
try {
  const create = (path: string, body: object) => api.transport.request('POST', path, { body });
  for (const name of ['bankhouse-system', WARM, MADE, BARE]) await create('/api/v1/namespaces', { metadata: { name } });
  const annotations = { 'bankhouse.dev/is-default-class': 'true' };
  const header = { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'BankClass' };
  await create(`${API}/bankclasses`, { ...header, metadata: { name: 'standard', annotations }, spec: {} });
  const { operator } = await MeasuredOperator.start(api, postgres.serviceUrl('operator'));
  let made: number;
  let writes: number;
  let usedMaking: Used;
  try {
    // Neither of the two is to pay for what the first requests cost.
    await byOperator(api, WARM, Math.ceil(count / 10));
    const [began, before] = [processorTime(), await operator.writes()];
    made = await byOperator(api, MADE, count);
    usedMaking = used(began);
    const grown = Object.entries(await operator.writes()).map(
      ([name, sum]) => [name, sum - (before[name] ?? 0)] as const,
    );
    writes = grown.reduce((sum, [, each]) => sum + each, 0) / count;
    console.log(`writes: ${grown.map(([name, each]) => `${each} ${name}`).join(', ')}`);
    console.log(`${count} Banks: children and status after ${(made / 1000).toFixed(1)} s`);
  } finally {
    await operator.stop();
  }
  const objects = await Promise.all([banksIn(MADE), ...childrenIn(MADE)].map((path) => listed(api, path)));
  if (objects.some(({ length }) => length !== count))
    throw new Error(`Not all is there: ${objects.map((all) => all.length)}`);
  const began = processorTime();
  const bare = await written(api, objects.flat());
  const usedBare = used(began);
  console.log(
    `the same ${objects.flat().length} objects and ${count} statuses written bare in ${(bare / 1000).toFixed(1)} s`,
  );
  console.log(`processor time a bank, made: ${told(usedMaking)}`);
  console.log(`processor time a bank, bare: ${told(usedBare)}`);
  const [work, workOfApi] = [total, ofApi].map((sum) => (sum(usedMaking) / sum(usedBare)).toFixed(2));
  console.log(`ratio of processor time ${work}; of the API server and etcd alone ${workOfApi}`);
  const ratio = made / bare;
  console.log(
    `ratio ${ratio.toFixed(2)} (target ${TARGET.ratio}); writes a bank ${writes.toFixed(2)} (target ${TARGET.writes})`,
  );
  if (ratio > TARGET.ratio || writes > TARGET.writes) process.exitCode = 1;
} finally {
  await Promise.all([api.stop(), postgres.stop()]);
}

type Used = Record<string, number>;

/** Seconds of processor time since, by who took it. */
function used(since: Used): Used {
  return Object.fromEntries(Object.entries(processorTime()).map(([of, sum]) => [of, sum - (since[of] ?? 0)]));
}

function total(times: Used): number {
  return Object.values(times).reduce((sum, each) => sum + each, 0);
}

function ofApi(times: Used): number {
  return (times['API server'] ?? 0) + (times.etcd ?? 0);
}

function told(times: Used): string {
  const each = (seconds: number) => `${((1000 * seconds) / count).toFixed(1)} ms`;
  const parts = Object.entries(times).filter(([, seconds]) => seconds > 0);
  return `${each(total(times))} (${parts.map(([of, seconds]) => `${of} ${each(seconds)}`).join(', ')})`;
}

function childrenIn(namespace: string): string[] {
  return [`/api/v1/namespaces/${namespace}/secrets`, `/apis/apps/v1/namespaces/${namespace}/deployments`];
}

/** Milliseconds from the first Bank until the last one's status says that its children are there. */
async function byOperator({ transport }: ApiServer, namespace: string, banks: number): Promise<number> {
  const done = new Set<string>();
  const all = Promise.withResolvers<void>();
  const limit = setTimeout(() => all.reject(new Error(`${done.size} of ${banks} after ${LIMIT_MS} ms.`)), LIMIT_MS);
  const reflector = createReflector<Bank>({
    transport,
    path: banksIn(namespace),
    logger: createLogger({ component: 'bench', level: 'fatal' }),
    onChange(key, { object: { status } }) {
      const isTrue = (type: string) => status?.conditions?.some((one) => one.type === type && one.status === 'True');
      if (status?.phase === 'Starting' && isTrue('CredentialsReady') && isTrue('DatabaseReady')) done.add(key);
      if (done.size === banks) all.resolve();
    },
  });
  reflector.start();
  await reflector.synced;
  const startedAt = performance.now();
  try {
    await each(Array.from({ length: banks }), (_, index) =>
      transport.request('POST', banksIn(namespace), {
        body: {
          apiVersion: 'bankhouse.dev/v1alpha1',
          kind: 'Bank',
          metadata: { name: `${namespace}-${index}` },
          spec: { displayName: `Bank ${index}`, vaults: [{ id: 'sales' }, { id: 'support' }] },
        },
      }),
    );
    await all.promise;
    return performance.now() - startedAt;
  } finally {
    clearTimeout(limit);
    await reflector.stop();
  }
}

async function listed({ transport }: ApiServer, path: string): Promise<KubeObject[]> {
  const { items, kind, apiVersion } = await transport.request<{
    items: KubeObject[];
    kind: string;
    apiVersion: string;
  }>('GET', path);
  return items.map((item) => ({ ...item, kind: kind.replace(/List$/, ''), apiVersion }));
}

/** Milliseconds that it takes to write the objects into another namespace, and the statuses of Banks. */
async function written({ transport }: ApiServer, objects: KubeObject[]): Promise<number> {
  const bare = objects.map((object) => {
    const { name, labels, annotations, finalizers } = object.metadata;
    return { ...object, metadata: { name, labels, annotations, finalizers } } as KubeObject & {
      kind: string;
      status?: object;
    };
  });
  const paths = { Bank: banksIn(BARE), Secret: childrenIn(BARE)[0], Deployment: childrenIn(BARE)[1] };
  const startedAt = performance.now();
  await each(bare, async ({ status, ...object }) => {
    const path = paths[object.kind as keyof typeof paths] ?? '';
    await transport.request('POST', path, { body: object });
    if (object.kind !== 'Bank') return;
    await transport.request('PATCH', `${path}/${object.metadata.name}/status`, {
      body: { status },
      contentType: MERGE_PATCH_TYPE,
    });
  });
  return performance.now() - startedAt;
}

/** So many at a time as there are connections. */
async function each<T>(items: readonly T[], work: (item: T, index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const loop = async () => {
    for (let index = next++; index < items.length; index = next++) await work(items[index] as T, index);
  };
  await Promise.all(Array.from({ length: CONNECTIONS }, loop));
}
