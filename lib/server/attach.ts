// Sharing an http.Server with whoever else answers upgrades there: other libraries, other servers of ours. Each takes what is its own by
// path; what is nobody's is left to the others, or, when only servers of ours listen, refused by the last of them. Knows no WebSocket.
import type { Server as HttpServer, IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { judgePath, type PathRule } from './paths.js';

type OnUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => void;

/** Told of an upgrade that is ours: `claimed` is false when it only is ours because nobody else will answer it. */
export type Take = (request: IncomingMessage, socket: Duplex, head: Buffer, claimed: boolean) => void;

/** Listeners of this library, on any server: they leave room for each other. */
const ours = new WeakSet<(...args: never[]) => void>();
/** Sockets that one of them has taken. */
const taken = new WeakSet<Duplex>();

/** Returns what detaches it again. */
export const attach = (http: HttpServer, paths: PathRule, take: Take): (() => void) => {
  const onUpgrade: OnUpgrade = (request, socket, head) => {
    if (taken.has(socket)) return;
    const path = (request.url ?? '').split('?', 1)[0] as string;
    const websocket = (request.headers.upgrade ?? '').toLowerCase() === 'websocket';
    const claimed = websocket && judgePath(path, paths) === undefined;
    const listeners = http.listeners('upgrade') as OnUpgrade[];
    const last = listeners.every((listener) => ours.has(listener)) && listeners.at(-1) === onUpgrade;
    if (!claimed && !last) return;
    taken.add(socket);
    take(request, socket, head, claimed);
  };
  ours.add(onUpgrade);
  http.on('upgrade', onUpgrade);
  return () => void http.off('upgrade', onUpgrade);
};
