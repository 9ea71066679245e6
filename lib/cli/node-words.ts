// What to type with a credential: the words that `serve`, `init` and `token` print.
import type { Handed } from '../daemon/index.js';
import { quoted } from './shell.js';

const USER = '--user 1 --channel 1';

/** A front speaks for a user; a service may speak for itself. */
export const callWords = ({ file, credential }: Handed, url: string, ca?: string): string =>
  `wsd call ${quoted(url)} PING --credential ${quoted(file)}${credential.role === 'front' ? ` ${USER}` : ''}${caWords(ca)}`;

/** `ca`: the certificate of wss, where nobody trusts it unasked. */
export const caWords = (ca: string | undefined): string => (ca === undefined ? '' : ` --ca ${quoted(ca)}`);

/** What to type in a data directory that has been used before. */
export const tryAgain = (service: string | undefined, url: string, data: string, ca?: string): string[] => [
  ...(service === undefined ? [] : [`wsd call ${quoted(url)} PING --credential ${quoted(service)}${caWords(ca)}`]),
  `wsd token --node NAME --role service${data}`,
];

export const tryNodes = (
  first: { readonly service: Handed; readonly front: Handed },
  url: string,
  data: string,
  ca?: string,
): string[] => [
  callWords(first.service, url, ca),
  `wsd token --node NAME --role service${data}`,
  'and in a program:',
  `  const node = await createNode({ credential: await readFile(${inCode(first.service.file)}, 'utf8')${connectionWords(ca)} });`,
];

const inCode = (file: string): string => `'${file.replaceAll("'", "\\'")}'`;

const connectionWords = (ca: string | undefined): string =>
  ca === undefined ? '' : `, connection: { tls: { ca: await readFile(${inCode(ca)}) } }`;
