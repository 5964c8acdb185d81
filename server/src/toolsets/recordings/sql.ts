import { statement } from '../../database/statement.ts';
import { ToolError } from '../../mcp/tool-error.ts';
import { instantSql } from '../shared/when.ts';

const STARTED_AT = `${instantSql('started_at')} as started_at`;
/** Lists as JSON: it is parsed many times faster than Postgres' own form of an array. */
const BRIEF = `id, source, title, ${STARTED_AT}, duration_seconds, array_to_json(participants) as participants,
  array_to_json(vault_ids) as vault_ids, language`;

export interface VaultRow {
  id: string;
  display_name: string;
  recordings: number;
}

export const LIST_VAULTS = statement({
  name: 'list_vaults',
  text: 'select id, display_name, recordings::float8 as recordings from api.list_vaults() order by id',
});

/** $1–$4 filter, $5, $6 position of the last entry of the previous page, $7 limit */
export const LIST_RECORDINGS = statement({
  name: 'list_recordings',
  text: `select ${BRIEF} from api.get_unified_recordings($1, $2, $3, $4, $5, $6, $7) r order by r.started_at desc, r.id collate "C" desc`,
});

export interface TitleRow {
  id: string;
  title: string | null;
  started_at: string;
}

/** $1 limit */
export const NEWEST_TITLES = statement({
  name: 'newest_titles',
  text: `select id, title, ${STARTED_AT} from api.get_unified_recordings(p_limit => $1) r
    order by r.started_at desc, r.id collate "C" desc`,
});

export const COUNT_RECORDINGS = statement({
  name: 'count_recordings',
  text: 'select api.count_recordings($1, $2, $3, $4)::float8 as total',
});

export const GET_RECORDING = statement({
  name: 'get_recording',
  text: `select ${BRIEF}, summary, url from api.get_recording($1)`,
});

/** $1 recording, $2, $3 range in seconds, $4 last segment of the previous page, $5 limit */
export const GET_TRANSCRIPT = statement({
  name: 'get_transcript',
  text: `select seq, start_seconds::float8 as start_seconds, end_seconds::float8 as end_seconds, speaker, text
    from api.get_transcript($1, $2, $3) where seq > $4 order by seq limit $5`,
});

/** $1 query, $2–$5 filter, $6 limit, $7 offset, $8 language */
export const SEARCH_RECORDINGS = statement({
  name: 'search_recordings',
  text: `select ${BRIEF},
      rank::float8 as rank, start_seconds::float8 as start_seconds, snippet, more
    from api.search_recordings($1, $2, $3, $4, $5, $6, $7, $8)`,
});

export function recordingNotFound(id: string): ToolError {
  return new ToolError(
    'not_found',
    `There is no recording "${id}" that you may see.`,
    'list_recordings and search_recordings give the ids.',
    { field: 'id' },
  );
}
