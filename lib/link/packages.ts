// Packages on a connection or a session: joins the machine of lib/package with what carries it and with whatever wakes it. Knows no socket and
// no clock: the time and the pacing are given. PROTOCOL.md sections 1 and 8.
import { textOf } from '../fault.js';
import { Peer } from '../package/peer.js';
import type { PeerSink } from '../package/peer-settings.js';
import type { Connection } from '../websocket/connection.js';
import { carrierOf, type LinkEnd, type PackageCarrier, type TextCarrier } from './package-carriers.js';
import type { Pace, PackageEvents, PackageLinkSettings } from './package-settings.js';
import type { Session } from './session.js';

export type { LinkEnd, Pace, PackageCarrier, PackageEvents, PackageLinkSettings };

/** The subprotocol whose text messages are packages, and the one whose RELIABLE packets carry them (PROTOCOL.md section 1). */
export const PACKAGE_PROTOCOL = 'v0.package.wsd';
export const SECURE_PACKAGE_PROTOCOL = 'v0.secure-package.wsd';

export interface PackageLink<Data = unknown, Carrier = Connection<unknown> | Session> {
  readonly peer: Peer<Data>;
  readonly carrier: Carrier;
  /** Its peer takes more slowly than we send. */
  readonly choked: boolean;
  /** How it ended; never rejects. */
  readonly closed: Promise<LinkEnd>;
  /** All calls are lost, and the connection or session is closed. */
  close(code?: number, reason?: string): Promise<LinkEnd>;
}

/** From now on its messages are packages: put on when it opens, before the first of them. */
export const carryPackages = <Data, Carrier extends PackageCarrier>(
  carrier: Carrier,
  settings: PackageLinkSettings<Data>,
): PackageLink<Data, Carrier> => {
  const { events = {} } = settings;
  const failed: PeerSink['failed'] = (error, incoming) => {
    try {
      events.failed?.(error, incoming);
    } catch {
      // Who fails while being told of a failure is told of nothing more.
    }
  };
  /** What an embedder's listener throws ends nothing here. */
  const tell = <Args extends unknown[]>(listener: ((...args: Args) => void) | undefined, ...args: Args): void => {
    try {
      listener?.apply(events, args);
    } catch (reason) {
      failed(reason instanceof Error ? reason : new Error(textOf(reason)), undefined);
    }
  };
  let over: (end: LinkEnd) => void = () => {};
  const closed = new Promise<LinkEnd>((resolve) => {
    over = resolve;
  });
  const peer: Peer<Data> = new Peer(settings, {
    transmit: (token) => texts.send(token),
    close: (code, reason) => texts.close(code, reason),
    pressure: (on) => texts.pressure(on),
    moved: () => pace.moved(),
    failed,
    identified: (record) => tell(events.identified, record),
    heard: (incoming) => tell(events.heard, incoming),
    rejected: (fault, claims) => tell(events.rejected, fault, claims),
    refused: (error, re) => tell(events.refused, error, re),
  });
  const receive = (text: string): void => peer.receive(text, settings.now());
  const pace = settings.pace(peer);
  const texts = carrierOf(carrier, {
    text: (text) => (settings.gate === undefined ? receive(text) : settings.gate(text, receive)),
    wrong: (code, reason) => peer.end(code, reason),
    lost: (error) => failed(error, undefined),
    ended: (end) => {
      peer.lost(settings.now());
      pace.stop();
      tell(events.ended, end);
      over(end);
    },
  });
  return new Carried(peer, carrier, texts, closed);
};

/** A class, since each object with a getter of its own has a shape of its own: most of a kilobyte for each of many idle nodes. */
class Carried<Data, Carrier extends PackageCarrier> implements PackageLink<Data, Carrier> {
  readonly peer: Peer<Data>;
  readonly carrier: Carrier;
  readonly closed: Promise<LinkEnd>;
  readonly #texts: TextCarrier;

  constructor(peer: Peer<Data>, carrier: Carrier, texts: TextCarrier, closed: Promise<LinkEnd>) {
    this.peer = peer;
    this.carrier = carrier;
    this.closed = closed;
    this.#texts = texts;
  }

  get choked(): boolean {
    return this.#texts.choked;
  }

  close(code = 1000, reason = ''): Promise<LinkEnd> {
    this.peer.end(code, reason);
    return this.closed;
  }
}
