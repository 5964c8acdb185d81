import { BANK_LABEL, type BankClassSpec, bankIdOf, CLASS_LABEL, childName, EMBEDDINGS_LABEL } from '@bankhouse/core';
import type { V1DeploymentSpec } from '@kubernetes/client-node';
import { usesEmbeddings } from './embeddings.ts';
import { type BankIdentity, type Child, childMetadata } from './model.ts';
import {
  buildPolicy,
  classEgress,
  embeddingsEgress,
  type NetworkConfig,
  type NetworkPolicy,
} from './network-policy.ts';

/*
 * What the version before made of the same bank, in its form. A Deployment that is there in it keeps it until what its pods run is another
 * thing, because only our way to say it has changed, and a release of ours restarts nobody (ADR 17). The version after this one forgets it.
 */

/** The Deployment in the form before: a ServiceAccount of the bank's own, its name in the environment, no label of a class. */
export function deploymentBefore(
  deployment: Child<{ spec: V1DeploymentSpec }>,
  bank: BankIdentity,
): Child<{ spec: V1DeploymentSpec }> {
  const { template } = deployment.spec;
  const name = bank.spec.displayName;
  const containers = template.spec?.containers.map((container) => ({
    ...container,
    env: (container.env ?? []).flatMap((variable) =>
      variable.name === 'BANK_ID' && name !== undefined ? [variable, { name: 'BANK_NAME', value: name }] : [variable],
    ),
  }));
  return {
    ...deployment,
    metadata: { ...deployment.metadata, labels: withoutClass(deployment.metadata.labels) },
    spec: {
      ...deployment.spec,
      template: {
        metadata: { ...template.metadata, labels: withoutClass(template.metadata?.labels) },
        spec: { ...template.spec, serviceAccountName: childName(bankIdOf(bank)), containers: containers ?? [] },
      },
    },
  };
}

/** What confines the pods of such a Deployment: a policy of the bank's own. */
export function buildPolicyBefore(
  bank: BankIdentity,
  bankClass: BankClassSpec,
  config: NetworkConfig & Parameters<typeof usesEmbeddings>[1],
): NetworkPolicy {
  const [dnsAndDatabase, ofClass] = [
    classEgress({ ...bankClass, network: undefined }, config),
    classEgress(bankClass, config),
  ];
  const embeddings = usesEmbeddings(bank, config) ? embeddingsEgress(config) : [];
  const egress = [...dnsAndDatabase, ...embeddings, ...ofClass.slice(dnsAndDatabase.length)];
  return buildPolicy(childMetadata(bank), { [BANK_LABEL]: bankIdOf(bank) }, egress, config);
}

function withoutClass(labels: Record<string, string> = {}): Record<string, string> {
  const { [CLASS_LABEL]: _, [EMBEDDINGS_LABEL]: __, ...rest } = labels;
  return rest;
}
