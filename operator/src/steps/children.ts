import { messageOf } from '@bankhouse/core';
import { splitKey } from '@bankhouse/kube';
import { fails } from '../decide/verdict.ts';
import {
  buildDeployment,
  buildNetworkPolicy,
  buildPodDisruptionBudget,
  buildService,
  buildServiceAccount,
  CHILD_KINDS,
  secretDigest,
  wantedReplicas,
} from '../resources/index.ts';
import { DONE, type Step } from './step.ts';

/** Everything but the Secret. What confines the pod is there before the pod. */
export const children: Step = async (pass, means) => {
  const { bank, bankClass, secrets } = pass;
  if (bankClass === undefined || secrets === undefined) return DONE;
  const { applier, settings } = means;
  try {
    await Promise.all([
      applier.apply(buildServiceAccount(bank)),
      applier.apply(buildNetworkPolicy(bank, bankClass.spec, settings)),
      applier.apply(buildService(bank)),
      wantedReplicas(bank, bankClass.spec) > 1
        ? applier.apply(buildPodDisruptionBudget(bank))
        : applier.remove('PodDisruptionBudget', location(pass.snapshot.childKey), bank.metadata.uid ?? ''),
    ]);
    await applier.apply(buildDeployment(bank, bankClass.spec, settings, secretDigest(secrets.databaseUrl)));
  } catch (error) {
    pass.verdicts.ServerReady = fails('ChildRefused', `A child of the bank can't be written: ${messageOf(error)}.`);
    return { kind: 'error', error };
  }
  return DONE;
};

/** In reverse: the pod goes before what confines it. */
export const deleteChildren: Step = async (pass, means) => {
  for (const kind of [...CHILD_KINDS].reverse()) {
    await means.applier.remove(kind, location(pass.snapshot.childKey), pass.bank.metadata.uid ?? '');
  }
  return DONE;
};

function location(key: string): { namespace: string; name: string } {
  const { namespace = '', name } = splitKey(key);
  return { namespace, name };
}
