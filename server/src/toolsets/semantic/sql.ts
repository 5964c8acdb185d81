import type { Statement } from '../../database/transaction.ts';
import { instantSql } from '../shared/when.ts';

/** $1 model, $2 dimensions, $3 kinds, $4 vault, $5, $6 range, $7 passages at most; a last row of nulls: there are more */
export const UNEMBEDDED: Statement = {
  name: 'unembedded',
  text: `select kind, item_id as id, passage, digest, body
    from bank.unembedded($1, $2::int, $3::text[], $4, $5::timestamptz, $6::timestamptz, $7::int)`,
};

/** $1 kind, $2 id, $3 model, $4 dimensions or null: the item's passages, with the vector of each that has one */
export const ITEM: Statement = {
  name: 'embedded_item',
  text: `select $1::text as kind, $2::text as id, p.passage, encode(bank.text_digest(p.body), 'hex') as digest, p.body,
      e.embedding::text as vector
    from bank.item_passages(bank.me(), $1, $2) p
    left join bank.embeddings e on e.bank_id = bank.me() and e.kind = $1 and e.item_id = $2 and e.passage = p.passage
      and e.model = $3 and ($4::int is null or e.dimensions = $4) and e.digest = bank.text_digest(p.body)
    order by p.passage`,
};

/** $1 model; then one entry per passage: $2 kinds, $3 ids, $4 passages, $5 digests, $6 vectors */
export const KEEP: Statement = {
  name: 'keep_embeddings',
  text: 'select bank.keep_embeddings($1, $2::text[], $3::text[], $4::int[], $5::text[], $6::text[]) as kept',
};

/** $1 vector, $2 model, $3 kinds, $4 vault, $5, $6 range, $7, $8 item left out, $9 'open' or 'tagged', $10 least score, $11 limit */
export const NEAREST: Statement = {
  name: 'nearest',
  text: `with found as materialized (
      select n.*, row_number() over (order by n.score desc, n.kind, n.item_id) as place
        from bank.nearest($1::real[], $2, $3::text[], $4, $5::timestamptz, $6::timestamptz, $7, $8, $9, $10::float8, $11::int) n
    )
    select d.kind, d.item_id as id, d.title, ${instantSql('d.at')} as at, d.vault_ids as "vaultIds", d.status, d.tags,
        d.parent_kind as "parentKind", d.parent_id as "parentId", d.start_seconds::float8 as "startSeconds",
        d.end_seconds::float8 as "endSeconds", d.body, f.score
      from bank.describe_passages(
        array(select kind from found order by place), array(select item_id from found order by place),
        array(select passage from found order by place)) d
      join found f on f.kind = d.kind and f.item_id = d.item_id
     order by d.place`,
};
