import { CLASS_FINALIZER } from '@bankhouse/core';
import { chooseClass } from '../decide/class.ts';
import { StepFailure } from '../reconcile/index.ts';
import { bankStep } from './kind.ts';

/**
 * Which class is in force? Nothing is made for a Bank that finds none. One that has had its id keeps it, and runs on as it is, whatever
 * becomes of its class.
 */
export const classStep = bankStep({
  name: 'class',
  condition: 'Accepted',
  needs: [],
  async run({ bank, classes, uid, hadId }, _, { namespaces, places, protect }) {
    const namespace = bank.metadata.namespace ?? '';
    const { labels } = await namespaces.get(namespace);
    const choice = chooseClass({
      bank,
      classes,
      namespaceLabels: labels,
      countOthers: (className) => places.countOthers(namespace, className, uid),
    });
    if (choice.kind === 'refused' && !hadId) throw new StepFailure(choice.verdict, 'stall');
    if (choice.kind === 'chosen') {
      const { name, finalizers } = choice.bankClass.metadata;
      places.take(namespace, name, uid);
      if (finalizers?.includes(CLASS_FINALIZER) !== true) protect(name);
    }
    return { kind: 'done', output: choice };
  },
});
