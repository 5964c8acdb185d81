import {
  BANK_LABEL,
  BANK_SERVER_PORT,
  type BankClassSpec,
  bankIdOf,
  COMPONENT_LABEL,
  GATEWAY_COMPONENT,
} from '@bankhouse/core';
import type { V1NetworkPolicyPort } from '@kubernetes/client-node';
import type { EgressPeer, OperatorConfig } from '../config.ts';
import { usesEmbeddings } from './embeddings.ts';
import { type BankIdentity, type Child, childMetadata } from './model.ts';

type Peer =
  | { ipBlock: { cidr: string } }
  | {
      namespaceSelector: { matchLabels: Record<string, string> };
      podSelector: { matchLabels: Record<string, string> };
    };

/** As in the API; the library's own type renames `from`, which is right only for its serializer. */
interface NetworkPolicySpec {
  podSelector: { matchLabels: Record<string, string> };
  policyTypes: ('Ingress' | 'Egress')[];
  ingress: { from: Peer[]; ports: V1NetworkPolicyPort[] }[];
  egress: { to: Peer[]; ports?: V1NetworkPolicyPort[] }[];
}

const NAMESPACE_NAME = 'kubernetes.io/metadata.name';

export type NetworkConfig = Pick<
  OperatorConfig,
  'PLATFORM_NAMESPACE' | 'DATABASE_EGRESS' | 'DNS_EGRESS' | 'EMBEDDINGS_URL' | 'EMBEDDINGS_EGRESS'
>;

/**
 * In: the gateway, on the one port. Out: DNS, Postgres, the endpoint for embeddings where the bank uses it, and what the class
 * allows. Nothing else either way.
 */
export function buildNetworkPolicy(
  bank: BankIdentity,
  bankClass: BankClassSpec,
  config: NetworkConfig,
): Child<{ spec: NetworkPolicySpec }> {
  const embeddings = usesEmbeddings(bank, config) ? (config.EMBEDDINGS_EGRESS ?? []) : [];
  const gateway = pods(config.PLATFORM_NAMESPACE, { [COMPONENT_LABEL]: GATEWAY_COMPONENT });
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: childMetadata(bank),
    spec: {
      podSelector: { matchLabels: { [BANK_LABEL]: bankIdOf(bank) } },
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ from: [gateway], ports: [{ protocol: 'TCP', port: BANK_SERVER_PORT }] }],
      egress: [
        ...config.DNS_EGRESS.map((peer) => ({
          to: [toPeer(peer)],
          ports: [
            { protocol: 'UDP', port: peer.port },
            { protocol: 'TCP', port: peer.port },
          ],
        })),
        ...[...config.DATABASE_EGRESS, ...embeddings].map((peer) => ({
          to: [toPeer(peer)],
          ports: [{ protocol: 'TCP', port: peer.port }],
        })),
        ...(bankClass.network?.egress ?? []).map(({ cidr, port }) => ({
          to: [{ ipBlock: { cidr } }],
          ...(port === undefined ? {} : { ports: [{ protocol: 'TCP', port }] }),
        })),
      ],
    },
  };
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
