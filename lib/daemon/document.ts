// The text of a file and a zod schema → its value, or a DaemonError that names file, line and column of everything that is wrong. Tells what was
// expected there and never what was found: some of these files hold keys.
import { type $ZodType, type output, safeParse } from 'zod/v4/core';
import { phraseOf } from '../package/issues.js';
import { isKid } from '../package/key-ring.js';
import { DaemonError } from './daemon-error.js';
import { type JsonText, JsonTextError, type Place, parseJsonText } from './json-text.js';

/** What is wrong at one place. */
export interface Mistake {
  readonly place: Place;
  readonly text: string;
}

const MOST_MISTAKES = 8;

export const mistakesIn = (path: string, mistakes: readonly Mistake[]): DaemonError => {
  const sorted = [...mistakes].sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column);
  const lines = sorted
    .slice(0, MOST_MISTAKES)
    .map(({ place, text }) => `${path}:${place.line}:${place.column}: ${text}`);
  const more = sorted.length - lines.length;
  return new DaemonError([...lines, ...(more > 0 ? [`and ${more} more`] : [])].join('\n'));
};

export const parseDocument = (path: string, text: string): JsonText => {
  try {
    return parseJsonText(text);
  } catch (error) {
    if (!(error instanceof JsonTextError)) throw error;
    throw mistakesIn(path, [{ place: error.place, text: error.message }]);
  }
};

export const checkDocument = <S extends $ZodType>(path: string, json: JsonText, schema: S): output<S> => {
  const result = safeParse(schema, json.value, { error: phraseOf });
  if (result.success) return result.data;
  const mistakes = result.error.issues.flatMap((issue): Mistake[] => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((name) => ({
        place: json.placeOfName([...issue.path, name]),
        text: `${memberText([...issue.path, name])} is not known`,
      }));
    }
    return [{ place: json.placeOf(issue.path), text: `${memberText(issue.path)} ${issue.message}` }];
  });
  throw mistakesIn(path, mistakes);
};

/** `listen.port`, `scopes[2].name`. A name that does not look like one could be half a key, pasted into the wrong place. */
export const memberText = (path: readonly PropertyKey[]): string => {
  const text = path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${nameText(String(step))}`))
    .join('')
    .replace(/^\./, '');
  return text === '' ? 'the whole' : text;
};

const LONGEST_NAME = 40;
const nameText = (name: string): string =>
  name === '$schema' || (name.length <= LONGEST_NAME && isKid(name)) ? name : '(a strange name)';

/** Where a text such as `scopes[1].body.properties` points to, when an error begins with it. */
export const placeOfText = (json: JsonText, message: string): Place => {
  let best: readonly PropertyKey[] = [];
  let length = 0;
  for (const path of json.paths) {
    const text = path
      .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
      .join('')
      .slice(1);
    const next = message[text.length] ?? ' ';
    if (text.length > length && message.startsWith(text) && !/[\w-]/.test(next)) {
      best = path;
      length = text.length;
    }
  }
  return json.placeOf(best);
};
