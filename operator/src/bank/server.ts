import { BANK_LABEL, type Bank, type BankCondition } from '@bankhouse/core';
import type { StoredChild } from '../cluster/stored.ts';
import { applyPolicies } from '../confinement/index.ts';
import { hasPods, isSettled, judgeServer } from '../decide/server.ts';
import { holds, type Verdict, waits } from '../decide/verdict.ts';
import { whereOf } from '../placement/index.ts';
import { StepFailure } from '../reconcile/index.ts';
import {
  buildDeployment,
  buildPodDisruptionBudget,
  type ServerNames,
  secretDigest,
  serverImage,
  wantedReplicas,
} from '../resources/index.ts';
import { type BankKind, type BankSnapshot, bankStep, childOf } from './kind.ts';
import { inFormOfPods } from './leftovers.ts';

/** What confines the bank's pods, and spares them: there before the first pod is. */
export const confinementStep = bankStep({
  name: 'confinement',
  condition: 'ServerReady',
  needs: ['class', 'claim'],
  async run(snapshot, given, deps) {
    if (given.class.kind === 'refused') throw new StepFailure(given.class.verdict, 'stall');
    const { bank, owner } = snapshot;
    const { bankClass } = given.class;
    const { applier } = deps;
    await Promise.all([
      applyPolicies(bank.metadata.namespace ?? '', bankClass, deps, serversOfRows(given.claim)),
      wantedReplicas(bank, bankClass.spec) > 1
        ? applier.apply(owner, buildPodDisruptionBudget(bank))
        : applier.remove(owner, childOf(snapshot, 'PodDisruptionBudget')),
    ]);
    return { kind: 'done', output: undefined };
  },
});

function serversOfRows(claim: BankKind['outputs']['claim']): ServerNames {
  const where = 'placement' in claim ? whereOf(claim.placement) : undefined;
  return where === undefined ? [] : [where.server];
}

/** The bank's pods: as wanted, and does one answer? */
export const serverStep = bankStep({
  name: 'server',
  condition: 'ServerReady',
  needs: ['class', 'claim', 'credentials', 'confinement'],
  async run(snapshot, given, { applier, caches, mover, prober, settings, clock }) {
    if (given.class.kind === 'refused') throw new StepFailure(given.class.verdict, 'stall');
    const { bank, uid, key, id, owner, pods, probe, child } = snapshot;
    const { spec } = given.class.bankClass;
    const wanted = buildDeployment(bank, given.class.bankClass, settings, secretDigest(given.credentials.databaseUrl));
    await applier.apply(owner, inFormOfPods(snapshot, wanted, { applier, caches }));
    const deployment = caches.children.Deployment.get(`${child.namespace}/${child.name}`);
    if ('placement' in given.claim && arePodsNew(deployment, pods)) mover.settled(uid, given.claim.placement);
    const selector = `${BANK_LABEL}=${id} -n ${child.namespace}`;
    const { lookAgainIn: again, ...verdict } = judgeServer(deployment, pods, {
      suspended: bank.spec.suspend,
      selector,
      now: clock.now(),
      wantedImage: serverImage(spec, settings),
    });
    const more = again === undefined ? {} : { again };
    if (bank.spec.suspend || deployment === undefined || !hasPods(deployment)) {
      prober.forget(uid);
      return { kind: 'done', output: undefined, verdict, ...more };
    }
    prober.want({ uid, key, id, fingerprint: fingerprint(deployment) });
    // A handshake says more than a probe, and says it a second earlier.
    const answers = verdict.inProgress === true && probe?.verified.status === 'True' && isSettled(deployment);
    return {
      kind: 'done',
      output: deployment,
      verdict: answers ? holds('Answers', 'A pod answers.') : verdict,
      ...more,
    };
  },
});

/** Whether every pod was made under the Deployment as it is now, those that end included. */
function arePodsNew(deployment: StoredChild | undefined, pods: readonly unknown[]): boolean {
  const { metadata, status } = deployment ?? {};
  if (metadata === undefined || (status?.observedGeneration ?? 0) < (metadata.generation ?? 1)) return false;
  const replicas = status?.replicas ?? 0;
  return replicas === (status?.updatedReplicas ?? 0) && pods.length <= replicas;
}

const NO_ANSWER = waits('Waits for a pod that answers.');

/** Does the front door lead to the bank? Looks only; the prober asks. */
export const routeStep = bankStep({
  name: 'route',
  condition: 'RouteReady',
  needs: ['server'],
  async run({ bank, probe }, { server }) {
    if (server === undefined) return { kind: 'waits', verdict: NO_ANSWER };
    const verdict = probe?.route ?? keptVerdict(bank, 'RouteReady');
    return { kind: 'done', output: { answerIsNear: probe === undefined }, verdict };
  },
});

/** Does an MCP handshake succeed? Looks only; the prober asks. */
export const handshakeStep = bankStep({
  name: 'handshake',
  condition: 'Verified',
  needs: ['server'],
  async run({ bank, probe }, { server }) {
    if (server === undefined) return { kind: 'waits', verdict: NO_ANSWER };
    return { kind: 'done', output: undefined, verdict: probe?.verified ?? keptVerdict(bank, 'Verified') };
  },
});

/** An operator that has just started asks anew; until the answer is there, what held is taken to hold still. */
function keptVerdict(bank: BankSnapshot['bank'], type: BankCondition): Verdict {
  const before = (bank as Bank).status?.conditions?.find((condition) => condition.type === type);
  return before?.status === 'True' ? holds(before.reason, before.message) : NO_ANSWER;
}

/** Changes with everything that can change the answer: the pod template, and whether pods are there. */
function fingerprint({ metadata, status }: StoredChild): string {
  const available = (status?.availableReplicas ?? 0) > 0;
  return [metadata.uid, metadata.generation, status?.updatedReplicas ?? 0, available].join(' ');
}
