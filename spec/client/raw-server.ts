// A TCP server on 127.0.0.1 for specs of the client: what it answers, right or wrong, is said byte by byte. Shares no code with lib.
// Not a spec. Every socket and the server itself end with the test.

import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { Test } from 'tap';
import { Wire } from '../../fixtures/rig/wire.js';

const pem = (name: string): string =>
  readFileSync(new URL(`../../../fixtures/tls/${name}.pem`, import.meta.url), 'utf8');

export interface Certificate {
  readonly key: string;
  readonly cert: string;
}

/** For localhost, 127.0.0.1 and ::1. */
export const LOCALHOST: Certificate = { key: pem('key'), cert: pem('cert') };
/** For wrong.example. */
export const WRONG: Certificate = { key: pem('wrong-key'), cert: pem('wrong-cert') };

export interface RawServer {
  readonly port: number;
  /** `127.0.0.1:4242` */
  readonly at: string;
  /** Every head that was read, in order. */
  readonly heads: string[];
  /** Every connection, in order. */
  readonly wires: Wire[];
  /** The server is not there any more; its port refuses. */
  close(): Promise<void>;
}

export interface RawOptions {
  readonly tls?: (Certificate & { readonly requestCert?: boolean; readonly ca?: string }) | undefined;
  readonly path?: string | undefined;
}

/** `answer` gets every connection when its request head has been read; with 'raw' as soon as it is there. */
export async function serve(
  t: Test,
  answer: (wire: Wire, head: string) => unknown,
  { tls, path }: RawOptions = {},
  when: 'head' | 'raw' = 'head',
): Promise<RawServer> {
  const heads: string[] = [];
  const wires: Wire[] = [];
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (raw) => {
    sockets.add(raw.on('close', () => sockets.delete(raw)).on('error', () => {}));
    const socket = tls === undefined ? raw : new TLSSocket(raw, { ...tls, isServer: true, rejectUnauthorized: false });
    const wire = new Wire(socket);
    wires.push(wire);
    if (when === 'raw') {
      answer(wire, '');
      return;
    }
    wire.readHead().then(
      (head) => {
        heads.push(head);
        answer(wire, head);
      },
      () => {},
    );
  });
  await new Promise<void>((done) => {
    if (path === undefined) server.listen(0, '127.0.0.1', done);
    else server.listen(path, done);
  });
  const close = (): Promise<void> =>
    new Promise((done) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => done());
    });
  t.teardown(close);
  const port = path === undefined ? (server.address() as AddressInfo).port : 0;
  return { port, at: `127.0.0.1:${port}`, heads, wires, close };
}

/** The value of a header of a head, the first one. */
export function fieldOf(head: string, name: string): string | undefined {
  const line = head.split('\r\n').find((one) => one.toLowerCase().startsWith(`${name.toLowerCase()}:`));
  return line?.slice(name.length + 1).trim();
}

export function acceptOf(head: string): string {
  const key = fieldOf(head, 'Sec-WebSocket-Key') ?? '';
  return createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64');
}

/** The right 101, with more lines where they are given. */
export function accept(head: string, more: readonly string[] = []): string {
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptOf(head)}`,
    ...more,
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}

/** One chunk a turn, so that each arrives by itself. */
export async function trickle(wire: Wire, chunks: readonly Uint8Array[]): Promise<void> {
  for (const chunk of chunks) {
    wire.write(chunk);
    await new Promise((done) => setImmediate(done));
  }
}

/** Answers the client's Close, and ends; content with a client that just goes. */
export async function closeProperly(wire: Wire): Promise<void> {
  for (;;) {
    const frame = await wire.readFrame().catch(() => undefined);
    if (frame === undefined) return;
    if (frame.opcode !== 8) continue;
    wire.sendFrame({ opcode: 8, payload: frame.payload.subarray(0, 2), mask: false });
    wire.end();
    return;
  }
}
