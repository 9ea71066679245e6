// A ws or wss URL → an open TCP or TLS connection and, when wanted, the fuzzer's own opening handshake on it (RFC 6455 sections 3,
// 4.1 and 4.2.2, as a client must check them). Knows no frames. A testee that answers badly is a sentence, never an exception.
import { connect as connectTcp, type Socket } from 'node:net';
import { type ConnectionOptions, connect as connectTls } from 'node:tls';
import { sha1Base64 } from '../crypto/digest.js';
import type { CodecTerms } from './codec.js';
import { type Head, HeadReader, tokensOf, valuesOf } from './head.js';
import { readAnswer } from './negotiate.js';

export interface Target {
  readonly secure: boolean;
  readonly host: string;
  readonly port: number;
  /** Path and query. */
  readonly resource: string;
  /** As the Host field says it. */
  readonly authority: string;
  readonly tls: ConnectionOptions;
}

/** Throws for text that is not a ws or wss URL: that is our caller's mistake. */
export const parseTarget = (url: string, tls: ConnectionOptions = {}): Target => {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed === undefined || (parsed.protocol !== 'ws:' && parsed.protocol !== 'wss:')) {
    throw new TypeError(`not a ws:// or wss:// URL: ${url}`);
  }
  const secure = parsed.protocol === 'wss:';
  const host = parsed.hostname.startsWith('[') ? parsed.hostname.slice(1, -1) : parsed.hostname;
  const port = parsed.port === '' ? (secure ? 443 : 80) : Number(parsed.port);
  const authority = `${parsed.hostname}:${port}`;
  return { secure, host, port, resource: parsed.pathname + parsed.search, authority, tls };
};

export const OPENING_MS = 5000;

/** Resolves with the socket once TCP (and TLS) stand, or with the reason why not. */
export const dial = (target: Target, ms: number = OPENING_MS): Promise<Socket | string> =>
  new Promise((resolve) => {
    const { host, port, secure, tls } = target;
    const isName = !/^[\d.]+$|:/.test(host);
    const socket = secure
      ? connectTls({ host, port, ...(isName ? { servername: host } : {}), ...tls })
      : connectTcp({ host, port });
    const settle = (result: Socket | string): void => {
      clearTimeout(timer);
      socket.off('error', refused);
      // Whoever takes the socket listens for its end; an error is always followed by it.
      socket.on('error', () => undefined);
      if (typeof result === 'string') socket.destroy();
      resolve(result);
    };
    const refused = (error: NodeJS.ErrnoException): void => settle(error.code ?? error.message);
    const timer = setTimeout(() => settle(`no connection within ${ms / 1000} s`), ms);
    socket.once('error', refused);
    socket.once(secure ? 'secureConnect' : 'connect', () => {
      socket.setNoDelay(true);
      settle(socket);
    });
  });

export const makeKey = (): string =>
  Buffer.from(globalThis.crypto.getRandomValues(new Uint8Array(16))).toString('base64');

/** RFC 6455 section 1.3. Written out here: lib/websocket is what this room judges. */
export const acceptFor = (key: string): string => sha1Base64(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`);

const requestText = (target: Target, key: string, offer: string | undefined): string =>
  [
    `GET ${target.resource} HTTP/1.1`,
    'User-Agent: wsd-conform',
    `Host: ${target.authority}`,
    // This capitalisation on purpose: the token has to be read without regard to case.
    'Upgrade: WebSocket',
    'Connection: Upgrade',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    `Sec-WebSocket-Key: ${key}`,
    ...(offer === undefined ? [] : [`Sec-WebSocket-Extensions: ${offer}`]),
    'Sec-WebSocket-Version: 13',
    '\r\n',
  ].join('\r\n');

/** undefined when the answer opens the connection. */
export const judgeOpening = (head: Head, key: string): string | undefined => {
  const [version, status] = head.start.split(' ');
  if (version !== 'HTTP/1.1' || status !== '101') return `the answer was "${head.start.slice(0, 80)}"`;
  if (valuesOf(head, 'upgrade').join().toLowerCase() !== 'websocket') return 'the answer has no Upgrade: websocket';
  if (!tokensOf(head, 'connection').includes('upgrade')) return 'the answer has no Connection: Upgrade';
  const accepts = valuesOf(head, 'sec-websocket-accept');
  if (accepts.length !== 1) return `the answer has ${accepts.length} Sec-WebSocket-Accept fields`;
  if (accepts[0] !== acceptFor(key)) return 'Sec-WebSocket-Accept does not answer our key';
  if (valuesOf(head, 'sec-websocket-protocol').some((v) => v !== ''))
    return 'a subprotocol was chosen that was not offered';
  return undefined;
};

/** undefined: no compression. A sentence: something that was not offered. */
const judgeExtensions = (head: Head, offered: boolean): CodecTerms | string | undefined => {
  const values = valuesOf(head, 'sec-websocket-extensions');
  if (values.length > 1) return 'the answer has more than one Sec-WebSocket-Extensions field';
  const value = values[0];
  if (value === undefined || value === '') return undefined;
  return offered ? readAnswer(value) : `the extension ${value} was not offered`;
};

export type Opened =
  | {
      readonly kind: 'open';
      readonly socket: Socket;
      readonly rest: Uint8Array;
      readonly terms: CodecTerms | undefined;
      readonly server: string;
    }
  | { readonly kind: 'failed'; readonly why: string };

/** The whole opening handshake within five seconds. The socket comes back paused. */
export const openClient = async (target: Target, offer: string | undefined): Promise<Opened> => {
  const socket = await dial(target);
  if (typeof socket === 'string') return { kind: 'failed', why: socket };
  const key = makeKey();
  const reader = new HeadReader();
  return new Promise<Opened>((resolve) => {
    const settle = (opened: Opened): void => {
      clearTimeout(timer);
      socket.off('data', read).off('close', closed);
      if (opened.kind === 'open') socket.pause();
      else socket.destroy();
      resolve(opened);
    };
    const fail = (why: string): void => settle({ kind: 'failed', why });
    const closed = (): void => fail('the server ended TCP');
    const read = (chunk: Buffer): void => {
      const result = reader.receive(chunk);
      if (result.kind === 'more') return;
      if (result.kind === 'too-large') return fail('the head of the answer does not end');
      const wrong = judgeOpening(result.head, key);
      if (wrong !== undefined) return fail(wrong);
      const terms = judgeExtensions(result.head, offer !== undefined);
      if (typeof terms === 'string') return fail(terms);
      const server = valuesOf(result.head, 'server')[0] ?? '';
      settle({ kind: 'open', socket, rest: result.rest, terms, server });
    };
    const timer = setTimeout(() => fail('no answer within 5 s'), OPENING_MS);
    socket.on('data', read).on('close', closed);
    socket.write(requestText(target, key, offer));
  });
};
