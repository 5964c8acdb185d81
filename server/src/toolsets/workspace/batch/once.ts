import { statement } from '../../../database/statement.ts';
import type { Transaction } from '../../../database/transaction.ts';
import { ToolError } from '../../../mcp/tool-error.ts';
import { digestOf } from '../digest.ts';

/** As create's own key (operations/create.ts), of which a batch is one more kind; the same key can't be used for both. */
const CLAIM = statement({ name: 'claim_batch', text: 'select api.claim_batch($1, $2::bytea) as answer' });
const KEEP = statement({ name: 'keep_outcome', text: 'select api.keep_outcome($1, $2::jsonb)' });

type Claimed =
  | { readonly claimed: true }
  /** `outcome` is null where the caller may not see all of it. */
  | { readonly claimed: false; readonly same: boolean; readonly outcome: unknown };

/**
 * Claims the key for this transaction, or gives what the batch that had it answered. Another batch that is under way with the
 * same key is waited for.
 *
 * @throws ToolError `conflict` for a key that was used for something else
 */
export async function claimOrRecall(tx: Transaction, key: string, operations: unknown): Promise<unknown> {
  const [row] = await tx.rows<{ answer: Claimed }>(CLAIM, [key, digestOf(operations)]);
  if (row === undefined) throw new Error('api.claim_batch gave no answer');
  if (row.answer.claimed) return undefined;
  const { same, outcome } = row.answer;
  if (same && outcome !== null) return outcome;
  if (same) {
    throw new ToolError(
      'conflict',
      'This batch was done before with this idempotencyKey, by a token that opens vaults which yours does not, so its answer is not for you.',
      'Send it with a token that opens them, or another key to do it again.',
      { field: 'idempotencyKey' },
    );
  }
  throw new ToolError(
    'conflict',
    'This idempotencyKey was used within the last 24 hours for something else.',
    'Send another key, or the same operations as before.',
    { field: 'idempotencyKey' },
  );
}

/** To be answered when the same batch comes again. */
export async function keepOutcome(tx: Transaction, key: string, outcome: unknown): Promise<void> {
  await tx.rows(KEEP, [key, JSON.stringify(outcome)]);
}
