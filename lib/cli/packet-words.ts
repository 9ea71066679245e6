// Who is at the other end of a packet session, and why it ended, in words for a log or a terminal. What a peer chose is cut to a length here and
// escaped where it is written.
import { clip } from './terminal.js';

/** `CN=alice (pin 0011…)`: subjects are for people, the pin cannot be chosen. */
export const nameOf = (subject: string | undefined, fingerprint: string): string => {
  const name = (subject ?? '').replaceAll('\n', ', ');
  return name === '' ? `pin ${fingerprint}` : `${clip(name)} (pin ${fingerprint})`;
};

/** What a peer says about a code begins with its number: once is enough. */
export const withDetail = (code: string, detail: string | undefined): string => {
  if (detail === undefined || detail === '') return code;
  const [number = ''] = code.split(' ', 1);
  return `${code} (${clip(detail.startsWith(`${number} `) ? detail.slice(number.length + 1) : detail)})`;
};
