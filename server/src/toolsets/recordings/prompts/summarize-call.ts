import { z } from 'zod';
import { definePrompt } from '../../../mcp/toolset.ts';
import { completeFrom, completeLanguage, languageArgument, writeIn } from '../../shared/languages.ts';
import { completeCall } from '../completers.ts';
import { callArgument, callMaterial, MATERIAL_ONLY, say } from './call-material.ts';

const STYLES = {
  bullets: 'as bullet points under the headings Topics, Decisions, Open questions, Next steps',
  narrative: 'as running text, in the order in which things were discussed',
  decisions: 'as a list of decisions: what was decided, by whom, why, and what it replaces',
  email: 'as an e-mail to the participants that thanks them and sums up what was agreed',
  executive: 'for somebody who was not there and has one minute: the outcome first, then the reasons',
};
const LENGTHS = { short: 'at most 100 words', medium: '200 to 300 words', long: '500 to 800 words' };

type Style = keyof typeof STYLES;
type Length = keyof typeof LENGTHS;

/** Any text but the names of the table goes to the model as it is: people ask for more than a table knows. */
function meaningOf(table: Readonly<Record<string, string>>, asked: string): string {
  return Object.hasOwn(table, asked) ? (table[asked] ?? asked) : asked;
}

export const summarizeCall = definePrompt({
  name: 'summarize_call',
  title: 'Summarize a call',
  description:
    'Sums up one call from its transcript, with the moments that show it, in the style and length that you want.',
  uses: ['get_transcript'],
  input: z.strictObject({
    call: callArgument,
    style: z
      .string()
      .trim()
      .max(200)
      .default('bullets' satisfies Style)
      .meta({
        title: 'Style',
        description: `${Object.keys(STYLES).join(', ')}, or in your own words. Default: bullets.`,
      }),
    length: z
      .string()
      .trim()
      .max(100)
      .default('medium' satisfies Length)
      .meta({
        title: 'Length',
        description: `${Object.keys(LENGTHS).join(', ')}, or in your own words. Default: medium.`,
      }),
    language: languageArgument,
  }),
  complete: {
    call: completeCall,
    style: completeFrom(Object.keys(STYLES)),
    length: completeFrom(Object.keys(LENGTHS)),
    language: completeLanguage,
  },
  async messages({ call, style, length, language }, context) {
    const { recording, message } = await callMaterial(context, call);
    return [
      say(
        [
          'Summarize the call below for me.',
          '',
          `- Style: ${meaningOf(STYLES, style)}.`,
          `- Length: ${meaningOf(LENGTHS, length)}.`,
          `- Language: ${writeIn(language, 'the language of the call')}.`,
          '- Name people by what they are called in the transcript. Put the moment, such as [12:34], behind every claim that matters.',
          '- Say only what the transcript bears out. Where it is unclear or contradicts the given summary, say so.',
          `- If it says at its end that it goes on, read the rest first: get_transcript with id "${recording.id}" and fromSeconds at the last moment shown, then nextCursor until there is none.`,
          '',
          MATERIAL_ONLY,
        ].join('\n'),
      ),
      message,
    ];
  },
});
