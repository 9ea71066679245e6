// A control connection of the fuzzing server, as a machine: one text message when there is one, then an empty Close. The same strict
// peer as in a case, so that it ends as properly.
import type { Write } from './outbox.js';
import { Peer, type PeerSink } from './peer.js';

const DEAF: PeerSink = { message: () => undefined, pong: () => undefined };

export class Notice {
  readonly peer: Peer = new Peer('server', DEAF, () => 0);
  readonly #text: string | undefined;

  constructor(text: string | undefined) {
    this.#text = text;
  }

  open(now: number): void {
    this.peer.log.open(now);
    if (this.#text !== undefined) this.peer.sendMessage(false, Buffer.from(this.#text, 'utf8'), 0, now);
    this.peer.close(undefined, '', now);
  }

  receive(bytes: Uint8Array, now: number): void {
    this.peer.receive(bytes, now);
  }

  end(now: number): void {
    this.peer.end(now);
  }

  tick(now: number): void {
    this.peer.tick(now);
  }

  deadline(): number {
    return this.peer.deadline();
  }

  takeWrites(): Write[] {
    return this.peer.takeWrites();
  }

  get finished(): boolean {
    return this.peer.state === 'gone';
  }
}
