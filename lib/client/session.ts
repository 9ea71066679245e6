// A packet session of a client: dials, opens it, and dials again whenever its connection is lost, with waits that grow and are spread, until
// somebody ends it. The first attempt is the caller's to hear of; later ones are events. lib/packet/PROTOCOL.md section 5.5.
import { randomFraction } from '../crypto/entropy.js';
import { WsdError } from '../fault.js';
import { ConnectionCarrier, carry } from '../link/carrier.js';
import { type Drive, Session } from '../link/session.js';
import { clientSettings, LARGEST_PACKET, PACKET_PROTOCOL } from '../link/settings.js';
import { now, wall } from '../net/clock.js';
import { Pacer } from '../net/pacer.js';
import { after } from '../net/wait.js';
import type { ClientPackets } from '../option-packets.js';
import type { ClientRest, Resolved } from '../option-types.js';
import { codeText } from '../packet/codes.js';
import { Session as Machine } from '../packet/session.js';
import type { Detachment, SessionSink } from '../packet/session-types.js';
import type { Connection } from '../websocket/connection.js';
import { parseDestination } from './destination.js';
import { open } from './open.js';

/** How much of the connection may wait before unreliable messages are refused. */
const CHOKED_FROM = 256 * 1024;
/** PROTOCOL.md section 7, 1.1: a server without room is left alone at least this long. */
const NO_SPACE_MS = 5_000;
/** What the next attempt would only meet again. */
const HOPELESS: readonly string[] = ['CERTIFICATE_INVALID', 'FINISH_INVALID', 'VERSION'];

class Traveller implements Drive {
  readonly session: Session = new Session(this);
  connection: Connection<unknown> | undefined;
  readonly #url: string | URL;
  readonly #options: Resolved<ClientRest>;
  readonly #packets: ClientPackets;
  readonly #machine: Machine;
  readonly #pacer: Pacer;
  #attempt = 0;
  #cancel: (() => void) | undefined;
  /** Of the first opening, until it is decided. */
  #first: { readonly done: () => void; readonly failed: (error: Error) => void } | undefined;

  constructor(url: string | URL, host: string, options: Resolved<ClientRest>, packets: ClientPackets) {
    this.#url = url;
    this.#packets = packets;
    const settings = {
      ...options.settings,
      text: 'bytes',
      lend: true,
      maxMessage: LARGEST_PACKET,
      idleTimeout: 0,
    } as const;
    const rest = { ...options.rest, subprotocols: [PACKET_PROTOCOL], packets: undefined };
    this.#options = { settings, deflate: undefined, rest };
    this.#machine = new Machine('client', clientSettings(packets, host, wall), this.#sink());
    this.#pacer = new Pacer(this.#machine);
    this.session.bind(this.#machine, (reason) => {
      this.session.tell('error', [reason instanceof Error ? reason : new Error('a listener failed')]);
      this.session.end('CLIENT_DISCONNECT');
    });
  }

  now(): number {
    return now();
  }

  moved(): void {
    this.#pacer.moved();
  }

  choked(): boolean {
    return (this.connection?.bufferedAmount ?? 0) > CHOKED_FROM;
  }

  /** The first time: rejects when there is no session in the end. */
  async begin(): Promise<void> {
    const opened = new Promise<void>((done, failed) => {
      this.#first = { done, failed };
    });
    opened.catch(() => {});
    await this.#dial();
    return opened;
  }

  async #dial(): Promise<void> {
    const { connection } = await open(this.#url, this.#options);
    if (connection.subprotocol !== PACKET_PROTOCOL) {
      connection.terminate();
      throw new WsdError('WSD_DIAL_PROTOCOL', `the server does not speak ${PACKET_PROTOCOL}`);
    }
    if (this.#machine.state === 'closed') return connection.terminate();
    this.connection = connection;
    const leg = this.#machine.connected(new ConnectionCarrier(connection), now());
    carry(connection, leg, now, () => this.moved());
    connection.on('drain', () => this.session.tell('drain', []));
    this.moved();
  }

  #sink(): SessionSink {
    const { sink } = this.session;
    return {
      ...sink,
      opened: (how, machine) => {
        this.#attempt = 0;
        this.#first?.done();
        this.#first = undefined;
        sink.opened(how, machine);
      },
      detached: (why) => {
        if (this.#first !== undefined) return this.#giveUp(why);
        sink.detached(why);
        if (typeof why === 'object' && HOPELESS.includes(why.fault.code))
          this.session.end('CLIENT_DISCONNECT', 'refused');
        else this.#again(undefined, typeof why === 'object' && why.fault.code === 'NO_SPACE' ? NO_SPACE_MS : 0);
      },
      ended: (end) => {
        this.#cancel?.();
        this.#pacer.stop();
        this.#first?.failed(new WsdError('WSD_DIAL_SESSION', codeText(end.code)));
        this.#first = undefined;
        sink.ended(end);
      },
    };
  }

  /** Before it ever was open there is nothing to go on with. */
  #giveUp(why: Detachment): void {
    const detail =
      typeof why === 'object'
        ? `${codeText(why.fault.code)}${why.fault.detail === undefined ? '' : `: ${why.fault.detail}`}`
        : why;
    this.#first?.failed(new WsdError('WSD_DIAL_SESSION', detail));
    this.#first = undefined;
    this.session.end('CLIENT_DISCONNECT');
  }

  #again(cause: Error | undefined, least: number): void {
    const { reconnect } = this.#packets;
    if (this.#machine.state === 'closed') return;
    if (reconnect === undefined || this.#attempt >= reconnect.attempts) {
      this.session.end('CLIENT_DISCONNECT', reconnect === undefined ? 'connection lost' : 'no way back');
      return;
    }
    const spread = Math.min(reconnect.max, reconnect.min * 2 ** Math.min(this.#attempt, 30));
    const wait = Math.round(least + randomFraction() * spread);
    this.#attempt++;
    this.session.tell('retry', [{ attempt: this.#attempt, wait, cause }]);
    this.#cancel = after(wait, () => {
      this.#dial().catch((reason: unknown) => this.#again(reason instanceof Error ? reason : undefined, 0));
    });
  }
}

/** Rejects with a WsdError when the session cannot be opened, or with a TypeError for options that are wrong. */
export const openSession = async (
  url: string | URL,
  options: Resolved<ClientRest>,
  packets: ClientPackets,
): Promise<Session> => {
  const at = parseDestination(url);
  if ('kind' in at) throw new WsdError(at.code, at.detail);
  const traveller = new Traveller(url, at.uri.host, options, packets);
  try {
    await traveller.begin();
  } catch (reason) {
    traveller.session.end('CLIENT_DISCONNECT');
    throw reason;
  }
  return traveller.session;
};
