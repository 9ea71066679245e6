// A WebSocket connection as the carrier of a session: one packet a binary message (PROTOCOL.md section 1). What is no packet ends the
// connection before a session sees it: a text message with 1003, one longer than any packet may be with 1009 (by the connection's own limit).
import type { Carrier, Leg } from '../packet/session-types.js';
import type { Connection } from '../websocket/connection.js';
import type { ConnectionSettings } from '../websocket/settings.js';
import { LARGEST_PACKET } from './protocol.js';

/** RFC 6455 section 7.4.1: a kind of data that is not accepted. */
const UNSUPPORTED = 1003;

/** How much of a connection may wait before unreliable messages are refused. */
const CHOKED_FROM = 256 * 1024;

/** A connection of packets takes bytes and keeps none of them; it never drops one of many, for their numbers leave no gap. */
export const CARRYING: Pick<
  ConnectionSettings,
  'text' | 'lend' | 'maxMessage' | 'idleTimeout' | 'highWater' | 'policy'
> = {
  text: 'bytes',
  lend: true,
  maxMessage: LARGEST_PACKET,
  idleTimeout: 0,
  highWater: CHOKED_FROM,
  policy: 'close',
};

/** Its 'drain' tells when that is over, or its 'close'. */
export const isChoked = (connection: Connection<unknown> | undefined): boolean =>
  connection?.state === 'open' && connection.bufferedAmount > CHOKED_FROM;

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
