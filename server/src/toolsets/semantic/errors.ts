import { EmbeddingsError, type EmbeddingsErrorReason } from '../../embeddings/index.ts';
import { ToolError } from '../../mcp/tool-error.ts';

const SEARCH_MEANWHILE = 'Meanwhile use search, which goes by words instead of meaning.';
const AGAIN = `Send the same call again in a moment. ${SEARCH_MEANWHILE}`;
const COMPARE = `An administrator must compare embeddings.url, embeddings.model and embeddings.dimensions with what the endpoint serves. ${SEARCH_MEANWHILE}`;

const REMEDIES: Record<EmbeddingsErrorReason, string> = {
  busy: AGAIN,
  unreachable: AGAIN,
  timeout: AGAIN,
  untrusted: `An administrator must give the CA of its certificate as embeddings.ca. ${SEARCH_MEANWHILE}`,
  refused: `An administrator must put the right key into the Secret that embeddings.existingSecret names. ${SEARCH_MEANWHILE}`,
  rejected: COMPARE,
  malformed: COMPARE,
};

/** A failure of the endpoint in words for the caller; anything else as it is. */
export function upstreamFailed(error: unknown): unknown {
  if (!(error instanceof EmbeddingsError)) return error;
  return new ToolError('upstream_failed', error.message, REMEDIES[error.reason], {
    retryable: error.retryable,
    cause: error.cause === undefined ? error : new Error(`${error.message} It says: ${(error.cause as Error).message}`),
  });
}

export function notConfigured(tool: string): ToolError {
  return new ToolError(
    'not_configured',
    `${tool} is off: this platform has no endpoint for embeddings.`,
    'Use search, which goes by words instead of meaning. An administrator switches it on by the values embeddings.url and embeddings.model of the chart (bank server: EMBEDDINGS_URL, EMBEDDINGS_MODEL); see docs/semantic-search.md.',
  );
}
