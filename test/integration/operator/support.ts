import { randomBytes } from 'node:crypto';
import type { Bank } from '@bankhouse/core';
import { createLogger } from '@bankhouse/core';
import { isApiError, systemClock, type Transport } from '@bankhouse/kube';
import {
  type BankCredentials,
  type BankRecord,
  type BankState,
  createOperator,
  type Database,
  type FrontDoor,
  type Operator,
  type Settings,
} from '@bankhouse/operator';
import { type ApiServer, startApiServer } from '../../harness/apiserver.ts';

export const BASE = '/apis/bankhouse.dev/v1alpha1';

export const settings: Settings = Object.freeze({
  FRONT_DOOR_URL: 'https://mcp.example.com',
  ROOT_KEY: randomBytes(32),
  DATABASE_URL: 'postgres://bankhouse_operator@db.example.com:5432/bankhouse',
  SERVER_IMAGE: 'localhost/bankhouse/server:dev',
  PLATFORM_NAMESPACE: 'bankhouse-system',
  DATABASE_EGRESS: [{ namespace: 'bankhouse-system', podLabels: { app: 'postgres' }, port: 5432 }],
  DNS_EGRESS: [{ namespace: 'kube-system', podLabels: { 'k8s-app': 'kube-dns' }, port: 53 }],
  LOG_LEVEL: 'info',
});

/** Stands for Postgres where a test is about the cluster: same idempotence, and it can be taken away. */
export class MemoryDatabase implements Database {
  readonly banks = new Map<string, BankState & { keys: Readonly<Record<string, string>> }>();
  writes = 0;
  failure: Error | undefined;

  async state(id: string): Promise<BankState | undefined> {
    if (this.failure !== undefined) throw this.failure;
    return this.banks.get(id);
  }

  async ensure(record: BankRecord, credentials: BankCredentials): Promise<'created' | 'configured'> {
    if (this.failure !== undefined) throw this.failure;
    this.writes += 1;
    await credentials.verifier();
    const known = this.banks.has(record.id);
    this.banks.set(record.id, {
      owner: record.owner,
      displayName: record.displayName,
      type: record.type,
      vaults: [...record.vaults],
      roles: [{ role: record.role, credentialDigest: record.credentialDigest }],
      keyGenerations: Object.keys(credentials.keys).map(Number),
      retainedAt: null,
      keys: credentials.keys,
    });
    return known ? 'configured' : 'created';
  }

  async delete(id: string, owner: string, deleteRows: boolean): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.writes += 1;
    const bank = this.banks.get(id);
    if (bank === undefined || bank.owner !== owner) return;
    if (deleteRows) this.banks.delete(id);
    else this.banks.set(id, { ...bank, roles: [], retainedAt: new Date().toISOString() });
  }

  async close(): Promise<void> {}
}

/** Stands for gateway and bank server: every bank answers, or none. */
export class SwitchedFrontDoor implements FrontDoor {
  answers = true;
  handshakes = 0;
  async checkRoute(): Promise<void> {
    if (!this.answers) throw new Error('connect ECONNREFUSED');
  }
  async checkHandshake(): Promise<void> {
    this.handshakes += 1;
  }
  forget(): void {}
  async close(): Promise<void> {}
}

export interface World {
  api: ApiServer;
  database: MemoryDatabase;
  frontDoor: SwitchedFrontDoor;
  operator: Operator;
  /** Stops the operator and starts another one, as after a crash; `transport` and `database` may have faults put in. */
  restart(options?: { transport?: Transport; database?: Database }): Promise<Operator>;
  close(): Promise<void>;
}

/** @param given a real database in place of the one in memory, and settings that go with it */
export async function startWorld(
  given: {
    database?: Database;
    settings?: Settings;
    /** Prepares the API server and says as whom the operator signs in. */
    signIn?: (api: ApiServer) => Promise<Transport>;
  } = {},
): Promise<World> {
  const api = await startApiServer();
  const transport = (await given.signIn?.(api)) ?? api.transport;
  const database = new MemoryDatabase();
  const frontDoor = new SwitchedFrontDoor();
  const start = async (options: { transport?: Transport; database?: Database } = {}) => {
    const operator = createOperator({
      transport: options.transport ?? transport,
      database: options.database ?? given.database ?? database,
      frontDoor,
      settings: given.settings ?? settings,
      clock: systemClock,
      logger: createLogger({ component: 'operator', level: process.env.TEST_LOG_LEVEL ?? 'fatal' }),
      workers: 4,
      verifyEvery: 600_000,
      instance: 'test',
    });
    await operator.start();
    return operator;
  };
  const world: World = {
    api,
    database,
    frontDoor,
    operator: await start(),
    async restart(options) {
      await world.operator.stop();
      world.operator = await start(options);
      return world.operator;
    },
    async close() {
      await world.operator.stop();
      if (transport !== api.transport) await transport.close();
      await api.stop();
    },
  };
  return world;
}

const LIMIT_MS = 15_000;

/** Polls the world, which is another process, until `check` stops throwing; then returns what it returned. */
export async function eventually<T>(check: () => Promise<T> | T): Promise<T> {
  const limit = Date.now() + LIMIT_MS;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > limit) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

export const namespaced = (namespace: string) => ({
  banks: `${BASE}/namespaces/${namespace}/banks`,
  mcpServers: `${BASE}/namespaces/${namespace}/mcpservers`,
  deployments: `/apis/apps/v1/namespaces/${namespace}/deployments`,
  secrets: `/api/v1/namespaces/${namespace}/secrets`,
  services: `/api/v1/namespaces/${namespace}/services`,
  serviceAccounts: `/api/v1/namespaces/${namespace}/serviceaccounts`,
  networkPolicies: `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`,
  budgets: `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`,
  events: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
});

export async function createNamespace(transport: Transport, name: string): Promise<void> {
  await transport.request('POST', '/api/v1/namespaces', { body: { metadata: { name } } });
}

export async function createClass(transport: Transport, name: string, spec: Record<string, unknown>): Promise<void> {
  const body = { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'BankClass', metadata: { name }, spec };
  await transport.request('POST', `${BASE}/bankclasses`, { body });
}

export async function createBank(
  transport: Transport,
  namespace: string,
  name: string,
  spec: Record<string, unknown> = {},
): Promise<Bank> {
  const body = { apiVersion: 'bankhouse.dev/v1alpha1', kind: 'Bank', metadata: { name }, spec };
  return transport.request<Bank>('POST', namespaced(namespace).banks, { body });
}

export async function getOrUndefined<T>(transport: Transport, path: string): Promise<T | undefined> {
  try {
    return await transport.request<T>('GET', path);
  } catch (error) {
    if (isApiError(error, 'not_found')) return undefined;
    throw error;
  }
}

/** What the Deployment controller and the kubelet would do: the bank's pods are there, and ready or not. */
export async function setPods(
  transport: Transport,
  namespace: string,
  id: string,
  pods: { replicas: number; ready: number },
): Promise<void> {
  const path = `${namespaced(namespace).deployments}/bank-${id}`;
  const { metadata } = await transport.request<{ metadata: { generation: number } }>('GET', path);
  const { replicas, ready } = pods;
  const status = {
    observedGeneration: metadata.generation,
    replicas,
    updatedReplicas: replicas,
    readyReplicas: ready,
    availableReplicas: ready,
    unavailableReplicas: replicas - ready,
  };
  await transport.request('PATCH', `${path}/status`, { body: { status }, contentType: 'application/merge-patch+json' });
}

/** The Bank once its Ready condition has the status, with a check of more if given. */
export async function bankWhen(
  transport: Transport,
  namespace: string,
  name: string,
  status: 'True' | 'False',
  reason?: string,
): Promise<Bank> {
  return eventually(async () => {
    const bank = await transport.request<Bank>('GET', `${namespaced(namespace).banks}/${name}`);
    const ready = bank.status?.conditions?.find(({ type }) => type === 'Ready');
    if (ready?.status !== status || (reason !== undefined && ready.reason !== reason)) {
      throw new Error(`Ready is ${ready?.status} ${ready?.reason}: ${ready?.message}`);
    }
    return bank;
  });
}
