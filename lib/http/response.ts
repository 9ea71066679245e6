// A status, fields and a text → the bytes of a complete HTTP/1.1 answer that ends its connection. Every answer but the 101
// is of this kind: one request a socket, so nothing a peer sends behind a refused head can be taken for a second request.
// Implements RFC 9112 sections 4 and 9.6, RFC 9110 sections 8.6 and 15. Knows no clock, so it writes no Date.

import { Buffer } from 'node:buffer';
import { type FaultCode, phraseOf, statusOf } from '../fault.js';
import { isValueCode } from './ascii.js';
import { writeField } from './fields.js';

export interface Response {
  /** 200 to 599. */
  readonly status: number;
  /** The registered phrase when not given. */
  readonly reason?: string | undefined;
  readonly fields?: ReadonlyArray<readonly [name: string, value: string]> | undefined;
  readonly body?: string | Uint8Array | undefined;
  /** The answer to a HEAD request: the length is told, the body is not sent. */
  readonly head?: boolean | undefined;
}

const REASONS: ReadonlyMap<number, string> = new Map([
  [101, 'Switching Protocols'],
  [200, 'OK'],
  [201, 'Created'],
  [202, 'Accepted'],
  [204, 'No Content'],
  [206, 'Partial Content'],
  [301, 'Moved Permanently'],
  [302, 'Found'],
  [303, 'See Other'],
  [304, 'Not Modified'],
  [307, 'Temporary Redirect'],
  [308, 'Permanent Redirect'],
  [400, 'Bad Request'],
  [401, 'Unauthorized'],
  [402, 'Payment Required'],
  [403, 'Forbidden'],
  [404, 'Not Found'],
  [405, 'Method Not Allowed'],
  [406, 'Not Acceptable'],
  [407, 'Proxy Authentication Required'],
  [408, 'Request Timeout'],
  [409, 'Conflict'],
  [410, 'Gone'],
  [411, 'Length Required'],
  [412, 'Precondition Failed'],
  [413, 'Content Too Large'],
  [414, 'URI Too Long'],
  [415, 'Unsupported Media Type'],
  [416, 'Range Not Satisfiable'],
  [417, 'Expectation Failed'],
  [421, 'Misdirected Request'],
  [422, 'Unprocessable Content'],
  [425, 'Too Early'],
  [426, 'Upgrade Required'],
  [428, 'Precondition Required'],
  [429, 'Too Many Requests'],
  [431, 'Request Header Fields Too Large'],
  [451, 'Unavailable For Legal Reasons'],
  [500, 'Internal Server Error'],
  [501, 'Not Implemented'],
  [502, 'Bad Gateway'],
  [503, 'Service Unavailable'],
  [504, 'Gateway Timeout'],
  [505, 'HTTP Version Not Supported'],
  [507, 'Insufficient Storage'],
  [511, 'Network Authentication Required'],
]);

/** The registered reason phrase, or nothing: RFC 9112 section 4 allows it to be empty. */
export const reasonOf = (status: number): string => REASONS.get(status) ?? '';

/** Written here and nowhere else: they decide where the answer ends. */
const FRAMING: ReadonlySet<string> = new Set(['connection', 'content-length', 'transfer-encoding', 'keep-alive']);

/** Throws a TypeError or RangeError on a status, name or value that our own side must not send. */
export const writeResponse = (response: Response): Uint8Array => {
  const { status, fields = [], body = '' } = response;
  if (!Number.isInteger(status) || status < 200 || status > 599) throw new RangeError('the status must be 200 to 599');
  const reason = response.reason ?? reasonOf(status);
  for (let i = 0; i < reason.length; i++) {
    if (!isValueCode(reason.charCodeAt(i))) throw new TypeError('the reason holds a character it must not');
  }
  // RFC 9110 sections 15.3.5 and 15.4.5: 204 and 304 have no content.
  const empty = status === 204 || status === 304;
  const content = typeof body === 'string' ? Buffer.from(body) : body;
  if (empty && content.length > 0) throw new TypeError(`an answer with status ${status} has no body`);

  let head = `HTTP/1.1 ${status} ${reason}\r\n`;
  let connection = 'close';
  let typed = content.length === 0;
  for (const [name, value] of fields) {
    const lower = name.toLowerCase();
    if (FRAMING.has(lower)) throw new TypeError(`${name} is written with the answer and cannot be given`);
    // RFC 9110 section 7.8: who sends Upgrade also names it in Connection.
    if (lower === 'upgrade') connection = 'close, Upgrade';
    if (lower === 'content-type') typed = true;
    head += writeField(name, value);
  }
  if (!typed) head += 'Content-Type: text/plain; charset=utf-8\r\n';
  if (!empty) head += `Content-Length: ${content.length}\r\n`;
  head += `Connection: ${connection}\r\n\r\n`;

  const sent = response.head === true ? 0 : content.length;
  const bytes = Buffer.allocUnsafe(head.length + sent);
  bytes.write(head, 0, 'latin1');
  if (sent > 0) bytes.set(content, head.length);
  return bytes;
};

/** What a status must or should say besides its text. */
const companions = (code: FaultCode): ReadonlyArray<readonly [string, string]> => {
  switch (statusOf(code)) {
    case 426:
      // RFC 6455 section 4.4: the versions we speak. RFC 9110 section 15.5.22: the protocol to upgrade to.
      return [
        ['Upgrade', 'websocket'],
        ['Sec-WebSocket-Version', '13'],
      ];
    case 405:
      // RFC 9110 section 15.5.6
      return [['Allow', 'GET']];
    case 429:
    case 503:
      return [['Retry-After', '5']];
    default:
      return [];
  }
};

/**
 * The answer to a fault before the upgrade: its status and its fixed phrase, never words of the peer. `extraFields` may
 * replace what would be written by default, as a Retry-After with jitter does.
 */
export const refusal = (
  code: FaultCode,
  extraFields: ReadonlyArray<readonly [name: string, value: string]> = [],
): Uint8Array => {
  const given = new Set(extraFields.map(([name]) => name.toLowerCase()));
  const fields = companions(code).filter(([name]) => !given.has(name.toLowerCase()));
  return writeResponse({ status: statusOf(code), fields: [...fields, ...extraFields], body: `${phraseOf(code)}\n` });
};
