// The bytes before a blank line → a start line and its fields, for the fuzzer's own openings. Reads more than it should accept and
// judges nothing: opening-*.ts do that. Written apart from lib/http, which it is there to judge. RFC 9112 section 2.

export interface Head {
  readonly start: string;
  /** Names in lower case, in the order they came. */
  readonly fields: readonly (readonly [name: string, value: string])[];
}

/** A head larger than this is not waited for. */
const LIMIT = 65_536;

export type HeadResult =
  | { readonly kind: 'more' }
  | { readonly kind: 'head'; readonly head: Head; readonly rest: Uint8Array }
  | { readonly kind: 'too-large' };

export const parseHead = (text: string): Head => {
  const [start = '', ...lines] = text.split('\r\n');
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(':');
    return colon < 0 ? [line.toLowerCase(), ''] : [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  return { start, fields };
};

export class HeadReader {
  #bytes: Uint8Array = new Uint8Array(0);

  receive(chunk: Uint8Array): HeadResult {
    // The blank line may begin up to three bytes before this chunk.
    const from = Math.max(0, this.#bytes.length - 3);
    const bytes = Buffer.concat([this.#bytes, chunk]);
    this.#bytes = bytes;
    const end = bytes.indexOf('\r\n\r\n', from, 'latin1');
    if (end < 0) return bytes.length > LIMIT ? { kind: 'too-large' } : { kind: 'more' };
    return { kind: 'head', head: parseHead(bytes.toString('latin1', 0, end)), rest: bytes.subarray(end + 4) };
  }
}

export const valuesOf = (head: Head, name: string): string[] =>
  head.fields.filter(([n]) => n === name).map(([, value]) => value);

/** Comma-separated tokens of all fields of a name, in lower case. */
export const tokensOf = (head: Head, name: string): string[] =>
  valuesOf(head, name)
    .flatMap((value) => value.split(','))
    .map((token) => token.trim().toLowerCase())
    .filter((token) => token !== '');
