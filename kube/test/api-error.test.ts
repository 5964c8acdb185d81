import { describe, expect, test } from 'vitest';
import { errorFromAnswer, errorFromStatus, errorFromTransport } from '../src/api-error.ts';

describe('what an error of the API server is called', () => {
  test.each([
    {
      sentence: 'by its reason',
      status: 409,
      body: '{"reason":"AlreadyExists","message":"x exists"}',
      code: 'already_exists',
    },
    { sentence: 'by its status where there is no reason', status: 409, body: '{}', code: 'conflict' },
    { sentence: 'by its status where a proxy answers', status: 503, body: '<html>', code: 'service_unavailable' },
    { sentence: 'by its number where nothing else is known', status: 418, body: '', code: 'http_418' },
    { sentence: 'Expired and Gone apart', status: 410, body: '{"reason":"Expired"}', code: 'expired' },
  ])('$sentence', ({ status, body, code }) => {
    expect(errorFromAnswer(status, body, 'GET /x')).toMatchObject({ status, code });
  });

  test('the message says which request it was', () => {
    const error = errorFromAnswer(404, '{"reason":"NotFound","message":"no such thing"}', 'GET /x');
    expect(error.message).toBe('GET /x: no such thing');
  });

  test('an ERROR event has the status of its Status object', () => {
    expect(errorFromStatus({ code: 410, reason: 'Expired' }, 'watch /x').status).toBe(410);
  });

  test('no answer at all is unreachable, with the cause kept', () => {
    const cause = new Error('connect ECONNREFUSED');
    expect(errorFromTransport(cause, 'GET /x')).toMatchObject({ status: 0, code: 'unreachable', cause });
  });
});
