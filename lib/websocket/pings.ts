// Pings of ours that wait for their Pong: each resolves with its round trip. RFC 6455 section 5.5.3: a Pong carries the data of the
// ping it answers, and a peer may answer only the newest of several, so an answer settles the older ones too.
import { type FaultCode, WsdError } from '../fault.js';

interface Waiting {
  readonly name: string;
  readonly at: number;
  readonly resolve: (ms: number) => void;
  readonly reject: (error: Error) => void;
}

/** More unanswered pings than this are a mistake of the caller or a dead peer. */
const MOST = 1024;

export class Pings {
  /** Pongs that answer no ping of ours. */
  unasked = 0;
  #waiting: Waiting[] = [];
  #number = 0;

  /** Data for a ping of which the caller does not care. */
  nextData(): Uint8Array {
    return Buffer.from(`wsd${++this.#number}`, 'latin1');
  }

  get full(): boolean {
    return this.#waiting.length >= MOST;
  }

  wait(payload: Uint8Array, now: number): Promise<number> {
    if (this.full) return refused('WSD_PEER_SILENT', `${MOST} pings are unanswered`);
    const answered = new Promise<number>((resolve, reject) => {
      this.#waiting.push({ name: nameOf(payload), at: now, resolve, reject });
    });
    // A ping nobody waits for may stay unanswered without harm.
    answered.catch(() => {});
    return answered;
  }

  /** False for a Pong that nobody asked for. */
  answer(payload: Uint8Array, now: number): boolean {
    const name = nameOf(payload);
    const at = this.#waiting.findLastIndex((waiting) => waiting.name === name);
    if (at < 0) {
      this.unasked++;
      return false;
    }
    for (const waiting of this.#waiting.splice(0, at + 1)) waiting.resolve(now - waiting.at);
    return true;
  }

  /** No answer can come any more. */
  end(cause: WsdError): void {
    for (const waiting of this.#waiting.splice(0)) waiting.reject(cause);
  }
}

/** A promise that rejects, without harm when nobody looks. */
export const refused = (code: FaultCode, detail: string): Promise<never> => {
  const promise = Promise.reject(new WsdError(code, detail));
  promise.catch(() => {});
  return promise;
};

const nameOf = (payload: Uint8Array): string =>
  Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('latin1');
