import type { CompleteRequest, CompleteResult } from '@modelcontextprotocol/server';
import { ToolError } from './tool-error.ts';
import type { CallContext, Completer, Prompt, ResourceProvider } from './toolset.ts';

/** The protocol's own limit. */
export const MAX_VALUES = 100;
/** Nobody types more before something fits. */
const MAX_TYPED = 256;

/** What can be completed, by reference (a prompt's name or a template) and argument. */
export type Completers = ReadonlyMap<string, Readonly<Record<string, Completer | undefined>>>;

const bankItself: Completer = (typed, { bank }) => ({ values: bank.startsWith(typed) ? [bank] : [] });
const nothing: Completer = () => ({ values: [] });

/** Every argument of every prompt and every variable of every template is there, so that one that isn't is a mistake. */
export function completersOf(prompts: Iterable<Prompt>, resources: Iterable<ResourceProvider>): Completers {
  const all = new Map<string, Record<string, Completer | undefined>>();
  for (const { name, input, complete } of prompts) {
    const names = Object.keys(input.shape);
    all.set(`ref/prompt ${name}`, Object.fromEntries(names.map((each) => [each, complete[each] ?? nothing])));
  }
  for (const { templates, complete } of resources) {
    for (const { uriTemplate } of templates) {
      const names = [...uriTemplate.matchAll(/\{(\w+)\}/g)].map(([, each = '']) => each);
      all.set(
        `ref/resource ${uriTemplate}`,
        Object.fromEntries(names.map((each) => [each, each === 'bank' ? bankItself : (complete?.[each] ?? nothing)])),
      );
    }
  }
  return all;
}

/** @throws ToolError `invalid_argument` for what the lists don't name */
export async function completeArgument(
  completers: Completers,
  { ref, argument, context: given }: CompleteRequest['params'],
  context: CallContext,
): Promise<CompleteResult> {
  const target = ref.type === 'ref/prompt' ? ref.name : ref.uri;
  const completer = completerFor(completers, ref.type, target, argument.name);
  const { values, more } =
    argument.value.length > MAX_TYPED
      ? { values: [] }
      : await completer(argument.value, { ...context, given: given?.arguments ?? {} });
  const shown = values.slice(0, MAX_VALUES);
  return { completion: { values: shown, hasMore: more === true || shown.length < values.length } };
}

function completerFor(completers: Completers, type: string, target: string, name: string): Completer {
  const known = completers.get(`${type} ${target}`);
  const list = type === 'ref/prompt' ? 'prompts/list' : 'resources/templates/list';
  if (known === undefined) {
    throw new ToolError(
      'invalid_argument',
      `There is nothing to complete for ${target.slice(0, 128)}.`,
      `${list} names what there is.`,
      { field: 'ref' },
    );
  }
  const completer = Object.hasOwn(known, name) ? known[name] : undefined;
  if (completer === undefined) {
    throw new ToolError(
      'invalid_argument',
      `${target.slice(0, 128)} has no argument ${name.slice(0, 64)}.`,
      `It has: ${Object.keys(known).join(', ')}.`,
      { field: 'argument' },
    );
  }
  return completer;
}
