// What `session.send` says: a status at once, and something to await that tells what became of the message. No promise is made unless
// somebody waits.

/**
 * sent: taken, and not RELIABLE: nobody will know. acknowledged: the peer has it. undelivered: no acknowledgement came and none will, it may have
 * arrived or not. unsent: it never left. full: not taken, there is no room now. closed: not taken, the session is over.
 */
export type Fate = 'sent' | 'acknowledged' | 'undelivered' | 'unsent' | 'full' | 'closed';

/** `delivery.status` tells at once; `await delivery` waits for the fate of a RELIABLE message. */
export interface Delivery extends PromiseLike<Fate> {
  /** ok: taken. full: not taken, wait for 'drain'. closed: not taken, the session is over. */
  readonly status: 'ok' | 'full' | 'closed';
  /** The packet number; undefined when it was not taken. */
  readonly number: number | undefined;
}

export class Taken implements Delivery {
  readonly status = 'ok';
  readonly number: number;
  #fate: Fate | undefined;
  #waiting: ((fate: Fate) => void)[] | undefined;

  constructor(number: number, fate?: Fate) {
    this.number = number;
    this.#fate = fate;
  }

  /** What became of it; once. */
  settle(fate: Fate): void {
    this.#fate = fate;
    for (const tell of this.#waiting ?? []) tell(fate);
    this.#waiting = undefined;
  }

  // biome-ignore lint/suspicious/noThenProperty: awaiting a delivery is the point of it
  then<A = Fate, B = never>(
    done?: ((fate: Fate) => A | PromiseLike<A>) | null,
    failed?: ((reason: unknown) => B | PromiseLike<B>) | null,
  ): PromiseLike<A | B> {
    return new Promise<Fate>((resolve) => {
      if (this.#fate !== undefined) return resolve(this.#fate);
      this.#waiting ??= [];
      this.#waiting.push(resolve);
    }).then(done, failed);
  }
}

const refused = (status: 'full' | 'closed'): Delivery => {
  const fate = Promise.resolve<Fate>(status);
  // biome-ignore lint/suspicious/noThenProperty: awaiting a delivery is the point of it
  return Object.freeze({ status, number: undefined, then: fate.then.bind(fate) as Delivery['then'] });
};

export const FULL: Delivery = refused('full');
export const CLOSED: Delivery = refused('closed');
