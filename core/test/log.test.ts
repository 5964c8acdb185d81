import { describe, expect, it } from 'vitest';
import { createLogger, flatLines, type Logger, REDACTED_FIELDS } from '../src/index.ts';

function logged(fields: object, as: (logger: Logger) => Logger = (logger) => logger): string {
  const lines: string[] = [];
  as(createLogger({ component: 'test', destination: { write: (line) => void lines.push(line) } })).info(
    fields,
    'message',
  );
  return lines.join('');
}

describe('a log line', () => {
  it('has time, level as a word, component and message', () => {
    expect(JSON.parse(logged({ durationMs: 3 }))).toMatchObject({
      level: 'info',
      component: 'test',
      msg: 'message',
      durationMs: 3,
    });
  });

  it.each(REDACTED_FIELDS.map((field) => [field]))('never shows %s, however deep', (field) => {
    const line = logged({ [field]: 'hunter2', a: { [field]: 'hunter2', b: { [field]: 'hunter2' } } });
    expect(line).not.toContain('hunter2');
    expect(line.match(/\[redacted\]/g)).toHaveLength(3);
  });

  it.each(REDACTED_FIELDS.map((field) => [field]))('of a request, which is flat, never shows %s either', (field) => {
    expect(JSON.parse(logged({ [field]: 'hunter2', rid: '1' }, flatLines))).toMatchObject({
      [field]: '[redacted]',
      component: 'test',
      rid: '1',
    });
  });
});
