import { z } from 'zod';
import type { Completer } from '../../mcp/toolset.ts';
import { fitsWords } from './words.ts';

/** Languages that a prompt proposes, by BCP 47 tag; any other can be asked for. */
const PROPOSED =
  'en de fr es it pt nl sv da nb fi pl cs sk hu ro bg el tr ru uk he ar fa hi bn ta ur th vi id ms zh ja ko'.split(' ');

let names: Intl.DisplayNames | undefined;

/** `German` for `de`; what is no tag stays as it is, since a model understands it too. */
export function languageName(tag: string): string {
  names ??= new Intl.DisplayNames(['en'], { type: 'language', fallback: 'code' });
  try {
    return names.of(tag) ?? tag;
  } catch {
    return tag;
  }
}

/** The language that a prompt asks a model to write in. */
export const languageArgument = z
  .string()
  .trim()
  .max(60)
  .optional()
  .meta({ title: 'Language', description: 'Language to write in, such as de or German.' });

/** In words for a model. */
export function writeIn(language: string | undefined, otherwise: string): string {
  return language === undefined ? otherwise : languageName(language);
}

/** Tags by the beginning of the tag or of the English name. */
export const completeLanguage: Completer = (typed) => {
  const beginning = typed.trim().toLowerCase();
  return {
    values: PROPOSED.filter(
      (tag) => tag.startsWith(beginning) || languageName(tag).toLowerCase().startsWith(beginning),
    ),
  };
};

/** Proposes fixed values, those that the typed words fit. */
export function completeFrom(values: readonly string[]): Completer {
  return (typed) => ({ values: values.filter((value) => fitsWords(typed, value)) });
}
