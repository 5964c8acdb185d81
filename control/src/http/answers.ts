import { BankhouseError, type Logger } from '@bankhouse/core';
import type { FastifyError } from 'fastify';
import { hasZodFastifySchemaValidationErrors } from 'fastify-type-provider-zod';
import { ApiError, type Failure, failure } from '../errors.ts';

export interface Answer {
  status: number;
  headers: Readonly<Record<string, string>>;
  body: Failure;
}

interface Issue {
  path: string;
  message: string;
  keyword: string;
  params: unknown;
  /** Part of the request that the path is in. */
  part?: string | undefined;
}

/** Any failure as an answer in the one form (R5.5); what is our own fault is logged and not told. */
export function answerFor(error: unknown, log: Logger, limits: { bodyBytes: number }): Answer {
  const answer = (
    status: number,
    code: string,
    message: string,
    headers: Readonly<Record<string, string>> = {},
  ): Answer => ({
    status,
    headers,
    body: failure(code, message),
  });
  if (error instanceof ApiError) return answer(error.status, error.code, error.message, error.headers);
  if (error instanceof BankhouseError && error.code === 'database_unavailable') {
    log.error({ err: error.cause }, 'the database did not answer');
    return answer(503, error.code, error.message, { 'retry-after': '2' });
  }
  if (hasZodFastifySchemaValidationErrors(error)) {
    const part = (error as FastifyError).validationContext;
    const issues = error.validation.map((one) =>
      describeIssue({
        path: one.instancePath,
        message: one.message ?? 'is wrong',
        keyword: one.keyword,
        params: one.params,
        part,
      }),
    );
    return answer(400, 'invalid_request', `${[...new Set(issues)].join('. ')}.`);
  }
  const code = error instanceof Error ? (error as FastifyError).code : undefined;
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return answer(413, 'body_too_large', `The body is larger than ${limits.bodyBytes} bytes; send less.`);
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return answer(415, 'not_json', 'Send the body as JSON, with "Content-Type: application/json".');
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return answer(400, 'invalid_json', 'The body is empty; send a JSON object.');
    case 'FST_ERR_CTP_INVALID_JSON_BODY':
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return answer(400, 'invalid_json', 'The body is not valid JSON; send one JSON object.');
    case 'FST_ERR_BAD_URL':
      return answer(400, 'invalid_url', 'The path is not validly percent-encoded.');
  }
  if (error instanceof SyntaxError)
    return answer(400, 'invalid_json', 'The body is not valid JSON; send one JSON object.');
  log.error({ err: error }, 'a request failed');
  return answer(500, 'internal', 'Something failed here; the log says what, under the id in x-request-id.');
}

/** One wrong field as "field: what it must be"; zod's own words where they already say it. */
export function describeIssue(issue: Issue): string {
  const field = issue.path
    .replace(/^\//, '')
    .replaceAll(/\/(\d+)/g, '[$1]')
    .replaceAll('/', '.');
  const params = (issue.params ?? {}) as { expected?: string; keys?: string[] };
  const what =
    issue.keyword === 'unrecognized_keys'
      ? `has no field ${(params.keys ?? []).map((key) => `"${key}"`).join(', ')}; leave it out`
      : issue.keyword === 'invalid_type' && params.expected !== undefined && !issue.message.startsWith('must')
        ? issue.message.includes('received undefined')
          ? `is missing; it must be ${article(params.expected)}`
          : `must be ${article(params.expected)}`
        : issue.message;
  return `${field === '' ? `The ${issue.part === 'querystring' ? 'query' : 'body'}` : field} ${what}`;
}

function article(type: string): string {
  const name = type === 'array' ? 'list' : type === 'record' ? 'object' : type === 'int' ? 'whole number' : type;
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}
