import { API_VERSION, BANK_SERVER_CONTAINER, childLabels, childName } from '@bankhouse/core';
import { MERGE_PATCH_TYPE, type Transport } from '@bankhouse/kube';

/** What the gateway routes by, as the API server would send it: an accepted Bank and a pod of it. */

export const NAMESPACE = 'banks';
const TIME = '2026-01-01T00:00:00Z';
const STARTED = '2026-01-01T00:00:05Z';

/** The incarnation of a bank that is made up here, or by `createBank`. */
export const uidOf = (id: string) => `uid-${id}`;

export interface BankChange {
  namespace?: string;
  uid?: string;
  accepted?: boolean;
  suspend?: boolean;
  keyGeneration?: number;
  provenImages?: string[];
}

export function bankObject(id: string, change: BankChange = {}) {
  const { namespace = NAMESPACE, accepted = true, suspend = false, uid = uidOf(id), keyGeneration = 1 } = change;
  const { provenImages = [] } = change;
  const condition = {
    type: 'Accepted',
    status: accepted ? 'True' : 'False',
    reason: 'X',
    message: '',
    lastTransitionTime: TIME,
  };
  return {
    apiVersion: API_VERSION,
    kind: 'Bank',
    metadata: { name: id, namespace, uid },
    spec: { suspend },
    status: { id, keyGeneration, provenImages, conditions: [condition] },
  };
}

export interface PodChange {
  name?: string;
  namespace?: string;
  /** `starting`: its server runs and was never ready; `sick`: it was. */
  state?: 'ready' | 'starting' | 'sick';
  imageID?: string;
}

export function podObject(id: string, ip: string, change: PodChange = {}) {
  const { namespace = NAMESPACE, state = 'ready', name = `${childName(id)}-7c9d5-x2x4z`, imageID = '' } = change;
  const readySince = { ready: STARTED, starting: TIME, sick: '2026-01-01T01:00:00Z' }[state];
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      uid: `uid-of-${name}`,
      labels: { ...childLabels(id), 'pod-template-hash': '7c9d5' } as Record<string, string>,
      ownerReferences: [
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: `${childName(id)}-7c9d5`, uid: 'uid-rs', controller: true },
      ],
    },
    spec: { containers: [{ name: BANK_SERVER_CONTAINER, image: 'registry.example.com/bankhouse/server:1.2.3' }] },
    status: {
      phase: 'Running',
      podIP: ip,
      podIPs: [{ ip }],
      conditions: [{ type: 'Ready', status: state === 'ready' ? 'True' : 'False', lastTransitionTime: readySince }],
      containerStatuses: [
        {
          name: BANK_SERVER_CONTAINER,
          ready: state === 'ready',
          started: state !== 'starting',
          restartCount: 0,
          image: 'registry.example.com/bankhouse/server:1.2.3',
          imageID,
          state: { running: { startedAt: STARTED } },
        },
      ],
    },
  };
}

/** Creates a pod as the ReplicaSet controller does, and reports of it as the kubelet does. */
export async function createPod(transport: Transport, id: string, ip: string, change: PodChange = {}): Promise<void> {
  const { status, ...pod } = podObject(id, ip, change);
  const { namespace, name, uid: _, ...metadata } = pod.metadata;
  const path = `/api/v1/namespaces/${namespace}/pods`;
  await transport.request('POST', path, { body: { ...pod, metadata: { ...metadata, name } } });
  await reportPod(transport, `${path}/${name}`, status);
}

/** @param status see `podObject` */
export async function reportPod(transport: Transport, path: string, status: object): Promise<void> {
  await transport.request('PATCH', `${path}/status`, { contentType: MERGE_PATCH_TYPE, body: { status } });
}
