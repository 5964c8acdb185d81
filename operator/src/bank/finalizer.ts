import { FINALIZER } from '@bankhouse/core';
import { holdFinalizer, releaseFinalizer } from '../cluster/finalizers.ts';
import { bankPath } from '../cluster/paths.ts';
import { bankStep } from './kind.ts';

/** Before the first effect outside of the cluster: from here on the Bank can't vanish before what it has there is given back. */
export const finalizerStep = bankStep({
  name: 'finalizer',
  needs: ['class'],
  async run({ bank }, _, { transport, caches }) {
    await holdFinalizer(transport, caches.banks, bankPath(bank), bank, FINALIZER);
    return { kind: 'done', output: undefined };
  },
});

/** Once nothing is left to clean up: lets the Bank go. */
export const releaseStep = bankStep({
  name: 'release',
  needs: ['database'],
  async run({ bank }, _, { transport, caches }) {
    await releaseFinalizer(transport, caches.banks, bankPath(bank), bank, FINALIZER);
    return { kind: 'done', output: undefined };
  },
});
