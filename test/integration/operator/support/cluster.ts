import { createHash } from 'node:crypto';
import { type Bank, childLabels, childName, DEFAULT_CLASS_ANNOTATION } from '@bankhouse/core';
import { isApiError, MERGE_PATCH_TYPE, type Transport } from '@bankhouse/kube';
import { eventually } from './eventually.ts';

const BASE = '/apis/bankhouse.dev/v1alpha1';
const API_VERSION = 'bankhouse.dev/v1alpha1';

/** The collections of a namespace. */
export const pathsOf = (namespace: string) => ({
  banks: `${BASE}/namespaces/${namespace}/banks`,
  mcpServers: `${BASE}/namespaces/${namespace}/mcpservers`,
  deployments: `/apis/apps/v1/namespaces/${namespace}/deployments`,
  secrets: `/api/v1/namespaces/${namespace}/secrets`,
  services: `/api/v1/namespaces/${namespace}/services`,
  serviceAccounts: `/api/v1/namespaces/${namespace}/serviceaccounts`,
  networkPolicies: `/apis/networking.k8s.io/v1/namespaces/${namespace}/networkpolicies`,
  budgets: `/apis/policy/v1/namespaces/${namespace}/poddisruptionbudgets`,
  pods: `/api/v1/namespaces/${namespace}/pods`,
  events: `/apis/events.k8s.io/v1/namespaces/${namespace}/events`,
});

const CLASSES = `${BASE}/bankclasses`;
export const classPath = (name: string) => `${CLASSES}/${name}`;

/** What users, controllers and kubelets do in a cluster. */
export abstract class Cluster {
  /** An admin's. */
  abstract readonly transport: Transport;

  get<T>(path: string): Promise<T> {
    return this.transport.request<T>('GET', path);
  }

  async find<T>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (isApiError(error, 'not_found')) return undefined;
      throw error;
    }
  }

  create<T>(collection: string, body: object): Promise<T> {
    return this.transport.request<T>('POST', collection, { body });
  }

  /** A merge patch. */
  patch<T>(path: string, body: object): Promise<T> {
    return this.transport.request<T>('PATCH', path, { body, contentType: MERGE_PATCH_TYPE });
  }

  delete(path: string): Promise<unknown> {
    return this.transport.request('DELETE', path);
  }

  async createNamespace(name: string): Promise<ReturnType<typeof pathsOf>> {
    await this.create('/api/v1/namespaces', { metadata: { name } });
    return pathsOf(name);
  }

  async createClass(name: string, spec: Record<string, unknown>, mark: { isDefault?: boolean } = {}): Promise<void> {
    const annotations = mark.isDefault === true ? { [DEFAULT_CLASS_ANNOTATION]: 'true' } : {};
    await this.create(CLASSES, { apiVersion: API_VERSION, kind: 'BankClass', metadata: { name, annotations }, spec });
  }

  createBank(namespace: string, name: string, spec: Record<string, unknown> = {}): Promise<Bank> {
    return this.create(pathsOf(namespace).banks, { apiVersion: API_VERSION, kind: 'Bank', metadata: { name }, spec });
  }

  /** What the Deployment controller and the kubelet would do: the bank's pods are there, and ready or not. */
  async setPods(namespace: string, id: string, pods: { replicas: number; ready: number }): Promise<void> {
    const path = `${pathsOf(namespace).deployments}/bank-${id}`;
    await eventually(async () => {
      const { metadata } = await this.get<{ metadata: { generation: number } }>(path);
      const { replicas, ready } = pods;
      const status = {
        observedGeneration: metadata.generation,
        replicas,
        updatedReplicas: replicas,
        readyReplicas: ready,
        availableReplicas: ready,
        unavailableReplicas: replicas - ready,
      };
      await this.patch(`${path}/status`, { status });
    });
  }

  /** A pod of the bank as the kubelet tells of it. */
  async setPod(
    namespace: string,
    id: string,
    pod: { name: string; image: string; ready?: boolean; waiting?: { reason: string; message: string } },
  ): Promise<void> {
    const { name, image, ready = false, waiting } = pod;
    const path = `${pathsOf(namespace).pods}/${name}`;
    if ((await this.find(path)) === undefined) {
      // Of a template of its own for each image, by way of the ReplicaSet that the Deployment's controller would make.
      const template = createHash('sha256').update(image).digest('hex').slice(0, 9);
      const owner = {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: `${childName(id)}-${template}`,
        uid: `rs-${template}`,
      };
      const metadata = {
        name,
        labels: { ...childLabels(id), 'pod-template-hash': template },
        ownerReferences: [{ ...owner, controller: true }],
      };
      const spec = { containers: [{ name: 'server', image }] };
      await this.create(pathsOf(namespace).pods, { apiVersion: 'v1', kind: 'Pod', metadata, spec });
    }
    const container = { name: 'server', image, imageID: '', ready, restartCount: 0 };
    const status = {
      phase: ready ? 'Running' : 'Pending',
      conditions: [
        { type: 'PodScheduled', status: 'True' },
        { type: 'PodReadyToStartContainers', status: 'True' },
        { type: 'Ready', status: ready ? 'True' : 'False' },
      ],
      containerStatuses: [{ ...container, ...(waiting === undefined ? {} : { state: { waiting } }) }],
    };
    await this.patch(`${path}/status`, { status });
  }

  /** The Bank once its Ready condition has the status, and the reason if one is given. */
  bankWhen(namespace: string, name: string, status: 'True' | 'False', reason?: string): Promise<Bank> {
    return eventually(async () => {
      const bank = await this.get<Bank>(`${pathsOf(namespace).banks}/${name}`);
      const ready = bank.status?.conditions?.find(({ type }) => type === 'Ready');
      if (ready?.status !== status || (reason !== undefined && ready.reason !== reason)) {
        throw new Error(`Ready is ${ready?.status} ${ready?.reason}: ${ready?.message}`);
      }
      return bank;
    });
  }

  /** The bank's pod comes up, and the Bank becomes Ready. */
  async bringUp(namespace: string, name: string, id = name): Promise<Bank> {
    await this.setPods(namespace, id, { replicas: 1, ready: 1 });
    return this.bankWhen(namespace, name, 'True');
  }

  async readyBank(namespace: string, name: string, spec: Record<string, unknown> = {}): Promise<Bank> {
    await this.createBank(namespace, name, spec);
    return this.bringUp(namespace, name);
  }
}
