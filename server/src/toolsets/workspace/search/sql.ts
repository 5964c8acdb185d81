import { statement } from '../../../database/statement.ts';
import type { PluralKind } from '../../shared/kinds.ts';
import { instantSql } from '../../shared/when.ts';

export interface MatchRow {
  kind: PluralKind;
  id: string;
  rank: number;
}

/** $1 query, $2 kinds, $3 offsets, $4 limit, $5 vault, $6, $7 period, $8 archived, $9 language */
export const MATCH_ENTITIES = statement({
  name: 'match_entities',
  text: `select kind, id, rank::float8 as rank from api.match_entities($1, $2::text[], $3::int[], $4, $5, $6, $7, $8, $9)
    order by kind, place`,
});

export interface DescribedRow {
  kind: PluralKind;
  id: string;
  vault_id: string | null;
  status: string;
  created_at: string;
  archived: boolean;
  language: string | null;
  title: string | null;
  parent_kind: PluralKind | null;
  parent_id: string | null;
  snippet: string | null;
}

/** $1 kinds, $2 ids, $3 query */
export const DESCRIBE_MATCHES = statement({
  name: 'describe_matches',
  text: `select kind, id, vault_id, status, ${instantSql('created_at')} as created_at, archived_at is not null as archived, language,
      title, parent_kind, parent_id, snippet
    from api.describe_matches($1::text[], $2::uuid[], $3)`,
});

export interface RecordingMatch {
  id: string;
  title: string | null;
  started_at: string;
  vault_ids: string[] | null;
  language: string | null;
  rank: number;
  start_seconds: number | null;
  snippet: string | null;
}

/** $1 query, $2, $3 period, $4 vault, $5 limit, $6 offset, $7 language */
export const MATCH_RECORDINGS = statement({
  name: 'match_recordings',
  text: `select id, title, ${instantSql('started_at')} as started_at, vault_ids, language, rank::float8 as rank,
      start_seconds::float8 as start_seconds, snippet
    from api.search_recordings(p_query => $1, p_from => $2, p_to => $3, p_vault => $4, p_limit => $5, p_offset => $6,
      p_language => $7)`,
});

export const NOW = statement({ name: 'now', text: `select ${instantSql('now()')} as now` });
