// What to type with a credential: the words that `serve`, `init` and `token` print.
import type { Handed } from '../daemon/index.js';
import { quoted } from './shell.js';

const USER = '--user 1 --channel 1';

/** A front speaks for a user; a service may speak for itself. */
export const callWords = ({ file, credential }: Handed, url: string): string =>
  `wsd call ${quoted(url)} PING --credential ${quoted(file)}${credential.role === 'front' ? ` ${USER}` : ''}`;

/** What to type in a data directory that has been used before. */
export const tryAgain = (service: string | undefined, url: string, data: string): string[] => [
  ...(service === undefined ? [] : [`wsd call ${quoted(url)} PING --credential ${quoted(service)}`]),
  `wsd token --node NAME --role service${data}`,
];

export const tryNodes = (
  first: { readonly service: Handed; readonly front: Handed },
  url: string,
  data: string,
): string[] => [
  callWords(first.service, url),
  `wsd token --node NAME --role service${data}`,
  'and in a program:',
  `  const node = await createNode({ credential: await readFile('${first.service.file.replaceAll("'", "\\'")}', 'utf8') });`,
];
