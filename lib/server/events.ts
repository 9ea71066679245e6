// What a server tells, and how it survives telling it: a listener that throws or rejects is the embedder's mistake. It costs what it was told
// about (the connection, the session, the request) or is an 'error', and is never the end of the process.
import { captureRejectionSymbol, type EventEmitter } from 'node:events';
import { type FaultCode, textOf } from '../fault.js';
import type { PackageLink } from '../link/packages.js';
import type { Session } from '../link/session.js';
import { warn } from '../net/warn.js';
import type { Connection } from '../websocket/connection.js';
import type { PlainRequest } from './answers.js';
import type { RefusedSession } from './packets.js';
import type { Tally } from './tally.js';

/** A handshake that was refused, for logs and metrics. Texts may hold what the peer sent: escape them. */
export interface Refused {
  readonly code: FaultCode;
  readonly status: number;
  readonly remoteAddress: string;
  readonly path: string | undefined;
  readonly detail: string | undefined;
}

export interface ServerEvents<Data> {
  connection: [connection: Connection<Data>];
  /** A request without Upgrade: answer it with `respond`. Without a listener it gets a helpful 426. */
  request: [request: PlainRequest];
  refused: [refused: Refused];
  /** A new packet session is about to open: put its listeners on here. */
  session: [session: Session];
  /** A packet session that did not come to be. */
  refusedSession: [refused: RefusedSession];
  /** A node has shown who it is. */
  node: [link: PackageLink];
  /** A listener or a socket failed; where the listener was one of a connection that has none for 'error', with that connection. */
  error: [error: Error, connection?: Connection<Data>];
  close: [];
}

type Told = Exclude<keyof ServerEvents<unknown>, 'connection' | 'close' | 'error'>;

export class Announcer<Data> {
  readonly #emitter: EventEmitter<ServerEvents<Data>>;
  readonly #tally: Tally;

  /** The emitter was made with `captureRejections`. */
  constructor(emitter: EventEmitter<ServerEvents<Data>>, tally: Tally) {
    this.#emitter = emitter;
    this.#tally = tally;
    const value = (reason: unknown, event: string, subject: unknown): void => this.#failed(event, subject, reason);
    Object.defineProperty(emitter, captureRejectionSymbol, { value });
  }

  /** False: nobody listens. */
  tell<Name extends Told>(name: Name, value: ServerEvents<Data>[Name][0]): boolean {
    if (this.#emitter.listenerCount(name) === 0) return false;
    try {
      return (this.#emitter.emit as (name: string, value: unknown) => boolean).call(this.#emitter, name, value);
    } catch (reason) {
      this.#failed(name, value, reason);
      return true;
    }
  }

  /** The server is closed: what a listener makes of it changes nothing about that. */
  closed(): void {
    try {
      this.#emitter.emit('close');
    } catch (reason) {
      this.#failed('close', undefined, reason);
    }
  }

  /** Something failed that is nobody's. */
  report(error: Error, connection?: Connection<Data>): void {
    this.#tally.count('errors');
    if (this.#emitter.listenerCount('error') === 0) return warn(error);
    try {
      const args = connection === undefined ? [error] : [error, connection];
      (this.#emitter.emit as (name: string, ...args: unknown[]) => boolean).call(this.#emitter, 'error', ...args);
    } catch {
      // Whoever fails while being told of a failure is told of nothing more.
    }
  }

  #failed(event: string, subject: unknown, reason: unknown): void {
    if (event === 'connection') return (subject as Connection<Data>).fail(reason);
    if (event === 'session') return (subject as Session).fail(reason);
    if (event === 'node') (subject as PackageLink).peer.end(1011, 'a listener failed');
    if (event === 'error') return;
    if (event === 'request') (subject as PlainRequest).respond({ status: 500, body: 'Internal Server Error\n' });
    this.report(reason instanceof Error ? reason : new Error(textOf(reason)));
  }
}
