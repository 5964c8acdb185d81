import { z } from 'zod';

/** A search's argument: the language proper of a BCP 47 tag, in lower case. */
export const languageFilter = z
  .string()
  .regex(/^[A-Za-z]{2,3}$/, { message: 'it must be a language such as en or de' })
  .toLowerCase()
  .optional()
  .meta({ description: 'Only what is in this language. Left out: the query is read in the language of each row.' });
