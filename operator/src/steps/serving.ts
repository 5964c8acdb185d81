import { BANK_LABEL, type Bank, type BankCondition } from '@bankhouse/core';
import type { StoredChild } from '../cluster/stored.ts';
import { hasPods, isSettled, judgeServer } from '../decide/server.ts';
import { holds, type Verdict, waits } from '../decide/verdict.ts';
import { DONE, type Step } from './step.ts';

/** Does a pod answer, does the front door lead to it, does an MCP handshake succeed? Looks only; the prober asks. */
export const serving: Step = async (pass, means) => {
  const { bank, snapshot, verdicts } = pass;
  const uid = bank.metadata.uid ?? '';
  const deployment = means.caches.children.Deployment.get(snapshot.childKey);
  if (verdicts.ServerReady.reason !== 'ChildRefused') {
    verdicts.ServerReady = judgeServer(deployment, {
      suspended: bank.spec.suspend,
      selector: `${BANK_LABEL}=${snapshot.id} -n ${bank.metadata.namespace}`,
    });
  }
  if (bank.spec.suspend || deployment === undefined || !hasPods(deployment)) {
    means.prober.forget(uid);
    verdicts.RouteReady = NO_ANSWER;
    verdicts.Verified = NO_ANSWER;
    return DONE;
  }
  means.prober.want({ uid, key: snapshot.key, id: snapshot.id, fingerprint: fingerprint(deployment) });
  pass.answerIsNear = snapshot.probe === undefined;
  verdicts.RouteReady = snapshot.probe?.route ?? keptVerdict(bank, 'RouteReady');
  verdicts.Verified = snapshot.probe?.verified ?? keptVerdict(bank, 'Verified');
  // A handshake says more than a probe, and says it a second earlier.
  if (verdicts.ServerReady.inProgress === true && verdicts.Verified.status === 'True' && isSettled(deployment)) {
    verdicts.ServerReady = holds('Answers', 'A pod answers.');
  }
  return DONE;
};

const NO_ANSWER = waits('Waits for a pod that answers.');

/** An operator that has just started asks anew; until the answer is there, what held is taken to hold still. */
function keptVerdict(bank: Bank, type: BankCondition): Verdict {
  const before = bank.status?.conditions?.find((condition) => condition.type === type);
  return before?.status === 'True' ? holds(before.reason, before.message) : NO_ANSWER;
}

/** Changes with everything that can change the answer: the pod template, and whether pods are there. */
function fingerprint({ metadata, status }: StoredChild): string {
  const available = (status?.availableReplicas ?? 0) > 0;
  return [metadata.uid, metadata.generation, status?.updatedReplicas ?? 0, available].join(' ');
}
