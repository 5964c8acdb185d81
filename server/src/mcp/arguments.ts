import type { z } from 'zod';
import { ToolError } from './tool-error.ts';

const SHOWN_PROBLEMS = 5;

/**
 * @param whose `the prompt x`, for the error
 * @throws ToolError `invalid_argument` that names every wrong argument
 */
export function parseInput<I>(schema: z.ZodType<I>, given: unknown, whose: string): I {
  const parsed = schema.safeParse(given);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.slice(0, SHOWN_PROBLEMS).map((issue) => {
    const path = issue.path.join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  const field = parsed.error.issues[0]?.path[0];
  throw new ToolError(
    'invalid_argument',
    `${problems.join('; ')}.`,
    `Send arguments that fit ${whose}.`,
    field === undefined ? {} : { field: String(field) },
  );
}
