// The two events of a standard WebSocket for which Node 20 has no class: the end, and a failure that says what failed.
// HTML living standard, "The CloseEvent interface"; the standard's 'error' is a bare Event, and scripts that expect one lose nothing.
import type { WsdError } from '../fault.js';

export interface CloseEventInit {
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

type CloseEventClass = new (type: string, init: CloseEventInit) => CloseEvent;

class OwnCloseEvent extends Event implements CloseEvent {
  readonly wasClean: boolean;
  readonly code: number;
  readonly reason: string;

  constructor(type: string, { wasClean = false, code = 0, reason = '' }: CloseEventInit) {
    super(type);
    this.wasClean = wasClean;
    this.code = code;
    this.reason = reason;
  }
}

Object.defineProperty(OwnCloseEvent, 'name', { value: 'CloseEvent' });

/** The runtime's own, where it has one. */
declare const CloseEvent: CloseEventClass | undefined;

/** Of the runtime's own class where there is one, so that `instanceof` holds. */
export const createCloseEvent = (init: CloseEventInit): CloseEvent => {
  const Class = typeof CloseEvent === 'function' ? CloseEvent : OwnCloseEvent;
  return new Class('close', init);
};

/** The 'error' of a standard WebSocket, with what the standard keeps from pages and a server's log wants. */
export class FailureEvent extends Event {
  readonly error: WsdError | TypeError;

  constructor(error: WsdError | TypeError) {
    super('error');
    this.error = error;
  }

  get message(): string {
    return this.error.message;
  }
}
