import {
  BANK_SERVER_COMPONENT,
  BANK_SERVER_PORT,
  type BankClassSpec,
  CLASS_LABEL,
  COMPONENT_LABEL,
  classPolicyName,
  EMBEDDINGS_LABEL,
  embeddingsPolicyName,
  GATEWAY_COMPONENT,
} from '@bankhouse/core';
import type { V1NetworkPolicyPort } from '@kubernetes/client-node';
import type { Owner } from '../cluster/owner.ts';
import type { EgressPeer, OperatorConfig } from '../config.ts';
import type { Servers } from '../placement/index.ts';
import { type Child, type ClassIdentity, sharedMetadata } from './model.ts';

type Peer =
  | { ipBlock: { cidr: string } }
  | {
      namespaceSelector: { matchLabels: Record<string, string> };
      podSelector: { matchLabels: Record<string, string> };
    };

/** A way out of a NetworkPolicy; without ports: every port. */
export interface Egress {
  to: Peer[];
  ports?: V1NetworkPolicyPort[];
}

/** As in the API; the library's own type renames `from`, which is right only for its serializer. */
interface NetworkPolicySpec {
  podSelector: { matchLabels: Record<string, string> };
  policyTypes: ('Ingress' | 'Egress')[];
  ingress: { from: Peer[]; ports: V1NetworkPolicyPort[] }[];
  egress: Egress[];
}

export type NetworkPolicy = Child<{ spec: NetworkPolicySpec }>;

const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

export type NetworkConfig = Pick<
  OperatorConfig,
  'PLATFORM_NAMESPACE' | 'DATABASE_EGRESS' | 'DNS_EGRESS' | 'EMBEDDINGS_URL' | 'EMBEDDINGS_EGRESS'
> & { SERVERS: Servers };

/** Names of further servers; undefined: the platform's own. */
export type ServerNames = readonly (string | undefined)[];

/**
 * What confines the banks' pods of a class in a namespace. In: the gateway, on the one port; so no bank reaches another. Out: DNS, Postgres
 * and what the class allows, and from pods that use it the endpoint for embeddings. Nothing else either way.
 *
 * @param rowsOn servers that rows of its banks are on; with them goes the one that the class says
 */
export function buildPolicies(
  namespace: Owner,
  bankClass: ClassIdentity,
  config: NetworkConfig,
  rowsOn: ServerNames = [],
): NetworkPolicy[] {
  const { name } = bankClass.metadata;
  const ofClass = { [COMPONENT_LABEL]: BANK_SERVER_COMPONENT, [CLASS_LABEL]: name };
  const embeddings = embeddingsEgress(config);
  return [
    buildPolicy(
      sharedMetadata(namespace, classPolicyName(name)),
      ofClass,
      classEgress(bankClass.spec, config, rowsOn),
      config,
    ),
    ...(embeddings.length === 0
      ? []
      : [
          buildPolicy(
            sharedMetadata(namespace, embeddingsPolicyName(name)),
            { ...ofClass, [EMBEDDINGS_LABEL]: 'true' },
            embeddings,
            config,
          ),
        ]),
  ];
}

/** DNS, Postgres and what the class names. */
export function classEgress(bankClass: BankClassSpec, config: NetworkConfig, rowsOn: ServerNames = []): Egress[] {
  return [
    ...config.DNS_EGRESS.map((peer) => ({
      to: [toPeer(peer)],
      ports: [
        { protocol: 'UDP', port: peer.port },
        { protocol: 'TCP', port: peer.port },
      ],
    })),
    ...databaseEgress(bankClass, config, rowsOn),
    ...(bankClass.network?.egress ?? []).map(({ cidr, port }) => ({
      to: [{ ipBlock: { cidr } }],
      ...(port === undefined ? {} : { ports: [{ protocol: 'TCP', port }] }),
    })),
  ];
}

function databaseEgress({ database }: BankClassSpec, config: NetworkConfig, rowsOn: ServerNames): Egress[] {
  const servers = new Set([database?.secretRef?.name, ...rowsOn]);
  const further = [...servers].filter((name) => name !== undefined).sort();
  const peers = further.flatMap((name) => config.SERVERS.get(name)?.egress ?? []);
  return [...(servers.has(undefined) ? config.DATABASE_EGRESS : []), ...peers].map(overTcp);
}

/** None where there is no endpoint. */
export function embeddingsEgress({ EMBEDDINGS_URL, EMBEDDINGS_EGRESS = [] }: NetworkConfig): Egress[] {
  return EMBEDDINGS_URL === undefined ? [] : EMBEDDINGS_EGRESS.map(overTcp);
}

export function buildPolicy(
  metadata: Child['metadata'],
  matchLabels: Record<string, string>,
  egress: Egress[],
  { PLATFORM_NAMESPACE }: Pick<NetworkConfig, 'PLATFORM_NAMESPACE'>,
): NetworkPolicy {
  const gateway = pods(PLATFORM_NAMESPACE, { [COMPONENT_LABEL]: GATEWAY_COMPONENT });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata,
    spec: {
      podSelector: { matchLabels },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [gateway], ports: [{ protocol: 'TCP', port: BANK_SERVER_PORT }] }],
      egress,
    },
  };
}

function overTcp(peer: EgressPeer): Egress {
  return { to: [toPeer(peer)], ports: [{ protocol: 'TCP', port: peer.port }] };
}

function toPeer(peer: EgressPeer): Peer {
  return 'cidr' in peer ? { ipBlock: { cidr: peer.cidr } } : pods(peer.namespace, peer.podLabels);
}

function pods(namespace: string, labels: Record<string, string>): Peer {
  return {
    namespaceSelector: { matchLabels: { [NAMESPACE_NAME]: namespace } },
    podSelector: { matchLabels: labels },
  };
}
