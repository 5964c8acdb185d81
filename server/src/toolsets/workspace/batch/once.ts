import { createHash } from 'node:crypto';
import type { Statement, Transaction } from '../../../database/transaction.ts';
import { ToolError } from '../../../mcp/tool-error.ts';

/** As create's own (operations/create.ts), of which a batch is one more kind; the same key can't be used for both. */
const CLAIM: Statement = {
  name: 'claim_batch',
  text: `insert into bank.idempotency_keys as k (key, digest, entity) values ($1, $2, 'batch')
    on conflict (bank_id, subject, key) do update
      set digest = excluded.digest, entity = excluded.entity, created_at = clock_timestamp()
      where k.created_at < clock_timestamp() - bank.idempotency_window()
    returning key`,
};
const RECALL: Statement = {
  name: 'recall_batch',
  text: `select k.digest = $2 and k.entity = 'batch' as same, bank.recall_outcome(k.key) as outcome
    from bank.idempotency_keys k where k.key = $1 and k.subject = (select bank.subject())`,
};
const KEEP: Statement = {
  name: 'keep_batch',
  text: 'select bank.keep_outcome($1, $2::jsonb)',
};

/**
 * Claims the key for this transaction, or gives what the batch that had it answered. Another batch that is under way with the
 * same key is waited for.
 *
 * @throws ToolError `conflict` for a key that was used for something else
 */
export async function claimOrRecall(tx: Transaction, key: string, operations: unknown): Promise<unknown> {
  const digest = createHash('sha256').update(JSON.stringify(operations)).digest();
  const [claimed] = await tx.rows<{ key: string }>(CLAIM, [key, digest]);
  if (claimed !== undefined) return undefined;
  const [known] = await tx.rows<{ same: boolean; outcome: unknown }>(RECALL, [key, digest]);
  if (known?.same === true && known.outcome !== null) return known.outcome;
  if (known?.same === true) {
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
