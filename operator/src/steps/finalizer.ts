import { type Bank, FINALIZER } from '@bankhouse/core';
import { JSON_PATCH_TYPE, type Transport } from '@bankhouse/kube';
import { bankPath } from '../cluster/paths.ts';
import { DONE, type Step } from './step.ts';

/** Before the first effect outside of the cluster: from here on the Bank can't vanish before `delete_bank` has run. */
export const holdFinalizer: Step = async (pass, means) => {
  const { bank } = pass;
  const finalizers = bank.metadata.finalizers ?? [];
  if (finalizers.includes(FINALIZER)) return DONE;
  pass.bank = await patch(means.transport, bank, [
    { op: 'test', path: '/metadata/uid', value: bank.metadata.uid },
    ...(finalizers.length === 0
      ? [
          { op: 'test', path: '/metadata/finalizers', value: null },
          { op: 'add', path: '/metadata/finalizers', value: [FINALIZER] },
        ]
      : [
          { op: 'test', path: '/metadata/finalizers', value: finalizers },
          { op: 'add', path: '/metadata/finalizers/-', value: FINALIZER },
        ]),
  ]);
  means.caches.banks.wrote(pass.bank);
  return DONE;
};

/** Once nothing is left to clean up: lets the Bank go. */
export const releaseFinalizer: Step = async (pass, means) => {
  const { bank } = pass;
  const index = bank.metadata.finalizers?.indexOf(FINALIZER) ?? -1;
  if (index === -1) return DONE;
  const path = `/metadata/finalizers/${index}`;
  pass.bank = await patch(means.transport, bank, [
    { op: 'test', path: '/metadata/uid', value: bank.metadata.uid },
    // The index may meanwhile be another's finalizer.
    { op: 'test', path, value: FINALIZER },
    { op: 'remove', path },
  ]);
  means.caches.banks.wrote(pass.bank);
  return DONE;
};

function patch(transport: Transport, bank: Bank, body: unknown): Promise<Bank> {
  return transport.request<Bank>('PATCH', bankPath(bank), { body, contentType: JSON_PATCH_TYPE });
}
