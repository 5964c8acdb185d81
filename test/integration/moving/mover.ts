/** A process that moves a bank as argv says, and is killed by itself at a step: nothing of it is tidied up. */
import { writeSync } from 'node:fs';
import { systemClock } from '@bankhouse/kube';
import { moveBank } from '../../../operator/src/moving/index.ts';

const { killAt, ...options } = JSON.parse(process.argv[2] ?? '{}');
await moveBank({
  ...options,
  clock: systemClock,
  signal: new AbortController().signal,
  switchOver: async () => {
    writeSync(1, 'switched\n');
    return true;
  },
  progress: ({ step }) => {
    if (step === killAt) process.kill(process.pid, 'SIGKILL');
  },
});
