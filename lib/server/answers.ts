// HTTP answers a server gives by itself: refusals, and the hint for a plain request to a WebSocket endpoint. Bytes only.
import { type FaultCode, statusOf } from '../fault.js';
import type { Fields } from '../http/head.js';
import { refusal, writeResponse } from '../http/response.js';

/** A request without Upgrade: an embedder may answer it. */
export interface PlainRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly fields: Fields;
  readonly host: string;
  readonly remoteAddress: string;
  readonly secure: boolean;
  /** Answers and ends the connection. */
  readonly respond: (response: {
    readonly status: number;
    readonly headers?: Readonly<Record<string, string>>;
    readonly body?: string | Uint8Array;
  }) => void;
}

/** The answer to a fault; clients that should come back are told when. */
export const refusalOf = (
  code: FaultCode,
  retryAfter: () => number,
): { readonly bytes: Uint8Array; readonly status: number } => {
  const status = statusOf(code);
  const bytes =
    status === 503 || status === 429 ? refusal(code, [['Retry-After', String(retryAfter())]]) : refusal(code);
  return { bytes, status };
};

/** What somebody sees who opens the address in a browser. */
export const writeHint = (url: string, head: boolean): Uint8Array => {
  const body = [
    'This is a WebSocket endpoint, and this was a plain HTTP request.',
    `From a page or a script:  new WebSocket('${url}')`,
    `From a terminal:          wsd connect ${url}`,
    '',
  ].join('\n');
  const fields: [string, string][] = [
    ['Upgrade', 'websocket'],
    ['Sec-WebSocket-Version', '13'],
    ['X-Content-Type-Options', 'nosniff'],
  ];
  return writeResponse({ status: 426, fields, body, head });
};
