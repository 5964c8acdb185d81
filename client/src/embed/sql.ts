/** $1 bank, $2 since, $3 model, $4 dimensions or null: items that have no embedding yet, newest first */
export const MISSING = `
select i.kind, i.id from (
  select 'recording' as kind, r.call_id as id, r.started_at as at from bank.recordings r where r.bank_id = $1
  union all
  select 'recording', f.call_id, f.recording_start_time from bank.fathom_calls f where f.bank_id = $1 and not f.migrated
  union all
  select 'note', n.id::text, n.created_at from bank.notes n where n.bank_id = $1 and n.archived_at is null
  union all
  select 'task', t.id::text, t.created_at from bank.tasks t where t.bank_id = $1 and t.archived_at is null
  union all
  select 'comment', c.id::text, c.created_at from bank.comments c where c.bank_id = $1 and c.archived_at is null
  union all
  select 'chat', c.id::text, c.created_at from bank.chats c where c.bank_id = $1 and c.archived_at is null
  union all
  select 'chat_message', m.id::text, m.created_at from bank.chat_messages m
   where m.bank_id = $1 and m.archived_at is null and m.body <> ''
) i
where ($2::timestamptz is null or i.at >= $2)
  and not exists (
    select from bank.embeddings e
     where e.bank_id = $1 and e.kind = i.kind and e.item_id = i.id and e.passage = 0 and e.model = $3
       and ($4::int is null or e.dimensions = $4)
  )
order by i.at desc, i.id`;

/** $1 bank, $2 kinds, $3 ids: the passages of items, in the items' order */
export const PASSAGES = `
select t.kind, t.id, p.passage, encode(bank.text_digest(p.body), 'hex') as digest, p.body
  from unnest($2::text[], $3::text[]) with ordinality t (kind, id, place)
 cross join lateral bank.item_passages($1, t.kind, t.id) p
 order by t.place, p.passage`;

/** $1 bank, $2 model; then one entry per passage: $3 kinds, $4 ids, $5 passages, $6 digests, $7 vectors */
export const STORE = `
select bank.store_embeddings($1, null, $2, $3::text[], $4::text[], $5::int[], $6::text[], $7::text[]) as kept`;
