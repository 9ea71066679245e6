// A WebSocket connection as the carrier of a session: one packet a binary message (PROTOCOL.md section 1). What is no packet ends the
// connection before a session sees it: a text message with 1003, one longer than any packet may be with 1009 (by the connection's own limit).
import type { Carrier, Leg } from '../packet/session-types.js';
import type { Connection } from '../websocket/connection.js';

/** RFC 6455 section 7.4.1: a kind of data that is not accepted. */
const UNSUPPORTED = 1003;

export class ConnectionCarrier implements Carrier {
  readonly connection: Connection<unknown>;

  constructor(connection: Connection<unknown>) {
    this.connection = connection;
  }

  transmit(packet: Uint8Array): void {
    this.connection.send(packet, BINARY);
  }

  close(code: number, reason: string): void {
    void this.connection.close(code, reason);
  }

  abort(): void {
    this.connection.terminate();
  }
}

const BINARY = { binary: true, compress: false } as const;

/** What arrives goes to the leg; `moved` is told after each call that may have brought a deadline nearer. */
export const carry = (connection: Connection<unknown>, leg: Leg, now: () => number, moved: () => void): void => {
  connection.on('message', (data, binary) => {
    if (!binary || typeof data === 'string') {
      void connection.close(UNSUPPORTED, 'packets are binary');
      leg.lost(now());
    } else leg.receive(data, now());
    moved();
  });
  connection.on('close', () => {
    leg.lost(now());
    moved();
  });
};
