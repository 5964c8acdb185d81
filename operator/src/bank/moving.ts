import { type Bank, MOVE_ANNOTATION } from '@bankhouse/core';
import { isApiError } from '@bankhouse/kube';
import { holds, type Verdict } from '../decide/verdict.ts';
import type { MoveState } from '../moving/index.ts';
import { placementWords } from '../placement/index.ts';
import { takeOff } from './annotations.ts';
import type { BankDeps } from './kind.ts';

export function asksToMove({ metadata }: Bank): boolean {
  return metadata.annotations?.[MOVE_ANNOTATION] === 'true';
}

/** Works on, so that it is no failure: the id is the Bank's, and the rows are where they were. */
export function placementFixed(rowsIn: string, wanted: string): Verdict {
  const message = `The bank's rows are in ${placementWords(rowsIn)} and stay there, though its class now says ${placementWords(wanted)}. To move them, annotate the Bank with ${MOVE_ANNOTATION}=true: it is used meanwhile. To be rid of this without, name a class in spec.className whose rows are where they are.`;
  return holds('PlacementFixed', message);
}

/** The bank is used in each of these states. */
export function verdictOfMove(state: MoveState): Verdict {
  const there = placementWords(state.target);
  switch (state.kind) {
    case 'waiting':
      return holds('Moving', `The bank's rows are to be moved into ${there}, when that is there and it is their turn.`);
    case 'copying':
      return holds(
        'Moving',
        `The bank's rows are being moved into ${there}, ${state.rows} are copied; it is used meanwhile.`,
      );
    case 'left': {
      const problem = state.problem === undefined ? '' : ` It could not be done yet: ${state.problem}`;
      return holds(
        'Moving',
        `The bank's rows are in ${there} now. What is left where they were goes once every pod has been replaced.${problem}`,
      );
    }
    case 'failed':
      return holds(
        'MoveFailed',
        `The bank's rows stay where they are, as they could not be moved into ${there}: ${state.problem} It is tried again by itself; take the annotation ${MOVE_ANNOTATION} off to call it off.`,
      );
  }
}

/** The word was heard, and what it asked for is so. */
export async function takeMoveOff(bank: Bank, deps: Pick<BankDeps, 'transport' | 'caches'>): Promise<void> {
  try {
    await takeOff(MOVE_ANNOTATION, bank, deps);
  } catch (error) {
    // It is gone, or somebody took it off meanwhile.
    if (!isApiError(error, 'not_found') && !isApiError(error, 'invalid')) throw error;
  }
}
