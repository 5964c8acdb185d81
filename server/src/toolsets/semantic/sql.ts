import { statement } from '../../database/statement.ts';
import { instantSql } from '../shared/when.ts';

/** $1 model, $2 dimensions, $3 kinds, $4 vault, $5, $6 range, $7 passages at most; a last row of nulls: there are more */
export const UNEMBEDDED = statement({
  name: 'unembedded',
  text: `select kind, item_id as id, passage, digest, body
    from api.unembedded($1, $2::int, $3::text[], $4, $5::timestamptz, $6::timestamptz, $7::int)`,
});

/** $1 kind, $2 id, $3 model, $4 dimensions or null: the item's passages, with the vector of each that has one */
export const ITEM = statement({
  name: 'embedded_item',
  text: `select kind, id, passage, digest, body, vector from api.embedded_item($1, $2, $3, $4::int) order by passage`,
});

/** $1 model; then one entry per passage: $2 kinds, $3 ids, $4 passages, $5 digests, $6 vectors */
export const KEEP = statement({
  name: 'keep_embeddings',
  text: 'select api.keep_embeddings($1, $2::text[], $3::text[], $4::int[], $5::text[], $6::text[]) as kept',
});

/**
 * $1 vector, $2 model, $3 kinds, $4 vault, $5, $6 range, $7, $8 item left out, $9 'open' or 'tagged', $10 least score, $11 limit;
 * nearest first
 */
export const NEAREST = statement({
  name: 'nearest',
  text: `select kind, id, title, ${instantSql('at')} as at, vault_ids as "vaultIds", status, tags, parent_kind as "parentKind",
      parent_id as "parentId", start_seconds::float8 as "startSeconds", end_seconds::float8 as "endSeconds", body, score
    from api.nearest($1::real[], $2, $3::text[], $4, $5::timestamptz, $6::timestamptz, $7, $8, $9, $10::float8, $11::int)`,
});
