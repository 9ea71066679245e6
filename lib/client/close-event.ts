// The event that ends a standard WebSocket, for runtimes that have none of their own (Node before 23).
// HTML living standard, section "The CloseEvent interface"; a member that is not given has its default.

export interface CloseEventInit {
  readonly bubbles?: boolean;
  readonly cancelable?: boolean;
  readonly composed?: boolean;
  readonly wasClean?: boolean;
  readonly code?: number;
  readonly reason?: string;
}

export interface CloseEvent extends Event {
  /** Both sides exchanged Close frames. */
  readonly wasClean: boolean;
  /** The code the server closed with; 1005 when it gave none, 1006 when there was no closing handshake. */
  readonly code: number;
  readonly reason: string;
}

class OwnCloseEvent extends Event implements CloseEvent {
  readonly #init: CloseEventInit;

  constructor(type: string, init: CloseEventInit = {}) {
    super(type, init);
    this.#init = { ...init };
  }

  get wasClean(): boolean {
    return this.#init.wasClean ?? false;
  }

  get code(): number {
    return this.#init.code ?? 0;
  }

  get reason(): string {
    return this.#init.reason ?? '';
  }
}

Object.defineProperty(OwnCloseEvent, 'name', { value: 'CloseEvent' });

type Native = { readonly CloseEvent?: new (type: string, init?: CloseEventInit) => CloseEvent };

/** The runtime's own class where there is one, so that `instanceof` holds. */
export const CloseEvent: new (type: string, init?: CloseEventInit) => CloseEvent =
  // biome-ignore lint/complexity/useArrowFunction: placeholder
  OwnCloseEvent;
