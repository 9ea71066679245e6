// One attempt to connect, however many steps and sockets it takes: one deadline for all of it and one signal, either of which ends the
// step under way and closes every socket. A step is a promise that is made from events and lets go of them however it ends.
// Knows neither HTTP nor what the steps are.
import type { Socket } from 'node:net';
import { WsdError } from '../fault.js';
import { now } from '../net/clock.js';
import { arm, disarm, type Timed } from '../net/wheel.js';

/** Begins a step: ends it by one of the two, and returns how to let go of what it listens to. */
export type Step<T> = (done: (value: T) => void, fail: (error: WsdError) => void) => () => void;

/** An earlier end of one step that is no failure of the attempt. */
export interface Patience {
  readonly ms: number;
  readonly over: () => void;
}

export class Attempt implements Timed {
  slot = 0;
  place = -1;
  /** What it waits for, as the message of a timeout tells it. */
  stage = 'while connecting';
  readonly #by: number;
  readonly #signal: AbortSignal | undefined;
  readonly #sockets: Set<Socket> = new Set();
  #patience: { readonly by: number; readonly over: () => void } | undefined;
  #fail: ((error: WsdError) => void) | undefined;
  #over: WsdError | undefined;

  /** `timeout` 0: no deadline. */
  constructor(timeout: number, signal: AbortSignal | undefined) {
    this.#by = timeout === 0 ? Infinity : now() + timeout;
    this.#signal = signal;
    if (signal?.aborted === true) this.#onAbort();
    signal?.addEventListener('abort', this.#onAbort);
    arm(this);
  }

  deadline(): number {
    return Math.min(this.#by, this.#patience?.by ?? Infinity);
  }

  tick(time: number): void {
    const patience = this.#patience;
    if (patience !== undefined && time >= patience.by) {
      this.#patience = undefined;
      patience.over();
    } else if (time >= this.#by) this.#end(new WsdError('WSD_DIAL_TIMEOUT', this.stage));
  }

  /** Waits for one thing. Rejects at the deadline and when the signal is aborted. */
  wait<T>(begin: Step<T>, patience?: Patience): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (this.#over !== undefined) return reject(this.#over);
      let ended = false;
      let release: (() => void) | undefined;
      const end = (): boolean => {
        if (ended) return false;
        ended = true;
        this.#fail = undefined;
        this.#patience = undefined;
        release?.();
        return true;
      };
      const fail = (error: WsdError): void => {
        if (end()) reject(error);
      };
      this.#fail = fail;
      if (patience !== undefined) {
        this.#patience = { by: Math.min(now() + patience.ms, this.#by), over: patience.over };
        arm(this);
      }
      release = begin((value) => {
        if (end()) resolve(value);
      }, fail);
      if (ended) release();
    });
  }

  /** A socket that must not outlive the attempt. Its errors between steps are told by the next step. */
  hold(socket: Socket): void {
    this.#sockets.add(socket.on('error', ignore));
  }

  /** Closes the sockets and goes on: the next step begins with a new one. */
  drop(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** It succeeded: the sockets are somebody else's now. */
  release(): void {
    for (const socket of this.#sockets) socket.off('error', ignore);
    this.#sockets.clear();
  }

  /** Lets go of everything, at the end of every attempt. */
  finish(): void {
    disarm(this);
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.drop();
  }

  readonly #onAbort = (): void => {
    this.#end(new WsdError('WSD_DIAL_ABORTED', undefined, { cause: this.#signal?.reason }));
  };

  #end(error: WsdError): void {
    this.#over = error;
    this.#fail?.(error);
    this.drop();
  }
}

const ignore = (): void => {};
