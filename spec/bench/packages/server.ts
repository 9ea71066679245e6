// The server of a case: gives back the note it is asked with. SERVICE, NODES (of each role) and KEYS come from the environment, the first and
// the last in JSON. Answers `usage` and `tally`.
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { Server as SocketServer } from 'socket.io';
import { wall } from '../../../lib/net/clock.js';
import { KeyRing } from '../../../lib/package/key-ring.js';
import type { Algorithm } from '../../../lib/package/package.js';
import { Router } from '../../../lib/package/router.js';
import { createDispatch } from '../../../lib/server/dispatch.js';
import { createServer } from '../../../lib/server/server.js';
import { MemoryStore } from '../../../lib/store/memory.js';
import type { Connection } from '../../../lib/websocket/connection.js';
import type { Message } from '../../../lib/websocket/inbox.js';
import { answer, say } from '../lines.js';
import { usage } from '../usage.js';
import type { Service } from './cases.js';
import { dispatchSigner, type Keys, recordOf } from './nodes.js';
import { type Bare, NOTE, type Note } from './note.js';

/** What the server saw. */
export interface Tally {
  /** Asked of a handler, or passed on. */
  readonly asked: number;
  /** Nodes that have shown who they are. */
  readonly nodes: number;
  readonly failures: number;
}

const { kind, alg = 'HS256' } = JSON.parse(process.env['SERVICE'] ?? '{}') as Service;
const keys = JSON.parse(process.env['KEYS'] ?? '{}') as Keys;
const nodes = Number(process.env['NODES'] ?? 0);
const HOST = '127.0.0.1';

let asked = 0;
let failures = 0;
let tally = (): Tally => ({ asked, nodes: 0, failures });

interface WsSocket {
  on(event: 'error', listener: () => void): void;
  on(event: 'message', listener: (data: Buffer) => void): void;
  send(data: string): void;
}
interface WsServer {
  address(): AddressInfo;
  on(event: 'listening', listener: () => void): void;
  on(event: 'connection', listener: (socket: WsSocket) => void): void;
}
interface WsPackage {
  readonly WebSocketServer: new (options: object) => WsServer;
}

const replyTo = (text: string): string => {
  asked++;
  const { id, body } = JSON.parse(text) as Bare;
  return JSON.stringify({ id, body });
};

/** One for all: a listener is called with its connection as `this`. */
function onMessage(this: Connection, data: Message): void {
  this.send(replyTo(data as string));
}

const serveWs = (): Promise<string> =>
  new Promise((resolve) => {
    const { WebSocketServer } = createRequire(import.meta.url)('ws') as WsPackage;
    const server = new WebSocketServer({ port: 0, host: HOST, perMessageDeflate: false });
    server.on('connection', (socket) => {
      socket.on('error', () => void failures++);
      socket.on('message', (data) => socket.send(replyTo(data.toString())));
    });
    server.on('listening', () => resolve(`ws://${HOST}:${server.address().port}`));
  });

const serveSocketIo = (): Promise<string> =>
  new Promise((resolve) => {
    const http = createHttpServer();
    const server = new SocketServer(http, { transports: ['websocket'], serveClient: false });
    server.on('connection', (socket) => {
      socket.on('note', (body: Note, reply: (body: Note) => void) => {
        asked++;
        reply(body);
      });
    });
    http.listen(0, HOST, () => resolve(`http://${HOST}:${(http.address() as AddressInfo).port}`));
  });

const serveWsd = async (): Promise<string> => {
  const server = createServer();
  server.on('connection', (connection) => void connection.on('message', onMessage));
  return (await server.listen({ port: 0, host: HOST })).url;
};

const ringOf = (of: Algorithm): KeyRing => {
  const ring = new KeyRing(wall);
  for (let place = 0; place < nodes; place++) {
    ring.add(recordOf(of, 'front', place, keys));
    ring.add(recordOf(of, 'service', place, keys));
  }
  return ring;
};

const servePackages = async (): Promise<string> => {
  const key = dispatchSigner(alg, keys);
  const router = new Router<undefined>().on(NOTE, (body) => {
    asked++;
    return body;
  });
  const server = createServer({ packages: { key, keys: ringOf(alg), router } });
  server.on('error', () => void failures++);
  tally = () => ({ asked, nodes: server.nodes.length, failures });
  return (await server.listen({ port: 0, host: HOST })).url;
};

const serveDispatch = async (): Promise<string> => {
  const key = dispatchSigner(alg, keys);
  const dispatch = createDispatch({ store: new MemoryStore(), key, keys: ringOf(alg), scopes: [NOTE] });
  dispatch.on('error', () => void failures++);
  const server = createServer({ packages: dispatch.packages });
  tally = () => ({ asked: dispatch.counters().forwarded, nodes: dispatch.nodes.length, failures });
  return (await server.listen({ port: 0, host: HOST })).url;
};

const SERVE = {
  ws: serveWs,
  wsd: serveWsd,
  'socket.io': serveSocketIo,
  router: servePackages,
  dispatch: serveDispatch,
} as const satisfies Record<Service['kind'], () => Promise<string>>;

const url = await SERVE[kind]();
answer({ usage, tally: () => tally() });
say(url);
