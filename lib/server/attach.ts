// Sharing an http.Server with whoever else answers upgrades there: other libraries, other servers of ours. Each takes what is its own by
// path; what is nobody's is left to the others, or, when only servers of ours listen, refused by the last of them. An offer of another
// protocol that nobody takes up is an ordinary request (RFC 9110 section 7.8), and stays with the http server. Knows no WebSocket.
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { Server as TlsServer } from 'node:tls';
import { parseTarget } from '../http/target.js';
import { hasToken } from '../http/tokens.js';
import { judgePath, type PathRule } from './paths.js';

type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Told of an upgrade that is ours: `claimed` is false when it only is ours because nobody else will answer it. */
export type Take = (request: IncomingMessage, socket: Duplex, head: Buffer, claimed: boolean) => void;

/** Where Node asks before it stops to be an HTTP server for a request (22.21, 24.9); the types are of an older one. */
interface Asking {
  shouldUpgradeCallback?: (request: IncomingMessage) => unknown;
}

/** Listeners of this library, on any server: they leave room for each other. */
const ours = new WeakSet<(...args: never[]) => void>();
/** Sockets that a server of this library has taken. */
const taken = new WeakSet<Duplex>();
/** Servers that were told what is no upgrade for us. */
const asking = new WeakSet<HttpServer>();

/**
 * A socket that somebody else accepted, once: a second server would write into what the first one says. From here on it is as those of our
 * own listeners: small frames leave at once, and a peer that has said its last word still hears ours.
 */
export const takeOver = (socket: Duplex): void => {
  if (taken.has(socket)) throw new TypeError('this socket was taken already: by attach(), upgrade() or adopt()');
  taken.add(socket);
  socket.allowHalfOpen = true;
  if (socket instanceof Socket) socket.setNoDelay(true);
};

const isWebSocket = ({ headers }: IncomingMessage): boolean => hasToken([headers.upgrade ?? ''], 'websocket');

/** Normalised, as the server's own rule sees it; of a target that is refused, what stands there. */
const pathOf = ({ url = '' }: IncomingMessage): string => {
  const target = parseTarget(url);
  return 'kind' in target ? (url.split('?', 1)[0] as string) : target.path;
};

const isOurs = (listener: OnUpgrade): boolean => ours.has(listener);

/** Returns what detaches it again. */
export const attach = (http: HttpServer, paths: PathRule, take: Take): (() => void) => {
  const onUpgrade: OnUpgrade = (request, socket, head) => {
    if (taken.has(socket)) return;
    const websocket = isWebSocket(request);
    const claimed = websocket && judgePath(pathOf(request), paths) === undefined;
    const listeners = http.listeners('upgrade') as OnUpgrade[];
    const last = listeners.every(isOurs) && listeners.at(-1) === onUpgrade;
    if (!claimed && !last) return;
    if (!websocket && http.listenerCount('request') > 0) return handBack(http, request, socket, head);
    takeOver(socket);
    take(request, socket, head, claimed);
  };
  ours.add(onUpgrade);
  http.on('upgrade', onUpgrade);
  leaveOthers(http);
  return () => void http.off('upgrade', onUpgrade);
};

/**
 * Where Node asks, it is told that other protocols are not for us. Done once for an http server and never undone: where somebody else
 * listens, or nobody does, the answer is that of before.
 */
const leaveOthers = (http: HttpServer & Asking): void => {
  const before = http.shouldUpgradeCallback;
  if (typeof before !== 'function' || asking.has(http)) return;
  asking.add(http);
  http.shouldUpgradeCallback = (request) => {
    const listeners = http.listeners('upgrade') as OnUpgrade[];
    const onlyOurs = listeners.length > 0 && listeners.every(isOurs) && http.listenerCount('request') > 0;
    return (!onlyOurs || isWebSocket(request)) && before.call(http, request);
  };
};

/**
 * Where Node does not ask, every request with Upgrade has left its HTTP parser, with its body unread: it goes back as a new connection
 * that begins with the same request without its Upgrade, as http's event 'connection' allows. So its body, those that follow it
 * and the timeouts of the http server are as ever.
 */
const handBack = (http: HttpServer, request: IncomingMessage, socket: Duplex, head: Buffer): void => {
  const { method, url, httpVersion, rawHeaders } = request;
  let text = `${method} ${url} HTTP/${httpVersion}\r\n`;
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string;
    if (name.toLowerCase() !== 'upgrade') text += `${name}: ${rawHeaders[i + 1]}\r\n`;
  }
  socket.unshift(Buffer.concat([Buffer.from(`${text}\r\n`, 'latin1'), head]));
  http.emit(http instanceof TlsServer ? 'secureConnection' : 'connection', socket);
};
