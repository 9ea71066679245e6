// A WebSocket of the platform as the carrier of a session: one packet a binary message. What is no packet ends the connection before a session
// sees it, as on a connection of ours; but a page can close with few codes (HTML: WebSockets, close()), so it says 1000 where the
// protocol has 1001, 1003 or 1009, and the reason tells. lib/packet/PROTOCOL.md section 1.
import { WsdError } from '../fault.js';
import { LARGEST_PACKET } from '../link/protocol.js';
import type { Way } from '../link/traveller.js';
import type { Carrier, Leg } from '../packet/session-types.js';
import { after, newSocket, now, type PlatformSocket } from './page.js';

/** How much of the connection may wait before unreliable messages are refused, and how often it is asked whether it still does. */
const CHOKED_FROM = 256 * 1024;
const ASK_EVERY_MS = 20;

const OPEN = 1;

/** Codes of an application's own: the ones that a page may send besides 1000. */
export const isOwnCode = (code: number): boolean => code >= 3000 && code <= 4999;

class SocketCarrier implements Carrier {
  readonly #socket: PlatformSocket;

  constructor(socket: PlatformSocket) {
    this.#socket = socket;
  }

  transmit(packet: Uint8Array): void {
    this.#socket.send(packet);
  }

  close(code: number, reason: string): void {
    this.#socket.close(isOwnCode(code) ? code : 1000, reason);
  }

  /** A page cannot cut: it leaves, and hears nothing any more. */
  abort(): void {
    silence(this.#socket);
    this.#socket.close();
  }
}

class SocketWay implements Way {
  readonly carrier: Carrier;
  readonly connection: undefined;
  readonly #socket: PlatformSocket;
  #drained: (() => void) | undefined;
  #asking: (() => void) | undefined;

  constructor(socket: PlatformSocket) {
    this.#socket = socket;
    this.carrier = new SocketCarrier(socket);
  }

  choked(): boolean {
    // What was not sent when it closed is counted for ever.
    const choked = this.#socket.readyState === OPEN && this.#socket.bufferedAmount > CHOKED_FROM;
    if (choked && this.#asking === undefined) this.#ask();
    return choked;
  }

  carry(leg: Leg, moved: () => void, drained: () => void): void {
    this.#drained = drained;
    this.#socket.onmessage = ({ data }: { readonly data: unknown }) => {
      const wrong = judge(data);
      if (wrong === undefined) leg.receive(new Uint8Array(data as ArrayBuffer), now());
      else {
        this.carrier.close(1000, wrong);
        leg.lost(now());
      }
      moved();
    };
    this.#socket.onclose = () => {
      this.#asking?.();
      leg.lost(now());
      moved();
    };
  }

  /** The platform has no event for it. */
  #ask(): void {
    this.#asking = after(ASK_EVERY_MS, () => {
      this.#asking = undefined;
      if (!this.choked()) this.#drained?.();
    });
  }
}

const judge = (data: unknown): string | undefined => {
  if (!(data instanceof ArrayBuffer)) return 'packets are binary';
  return data.byteLength > LARGEST_PACKET ? 'longer than any packet' : undefined;
};

export const silence = (socket: PlatformSocket): void => {
  socket.onopen = null;
  socket.onmessage = null;
  socket.onclose = null;
  socket.onerror = null;
};

/** Packets of this subprotocol. Rejects with a WsdError. */
export const dial = async (url: string, protocol: string, timeout: number, signal: AbortSignal): Promise<Way> => {
  const socket = await openSocket(url, protocol, timeout, signal);
  // Section 1: packets go with no extension.
  if (socket.extensions === '') return new SocketWay(socket);
  socket.close();
  throw new WsdError('WSD_DIAL_EXTENSION', 'packets go without extensions');
};

/** Rejects with a WsdError. A page is never told why a WebSocket could not be opened. */
export const openSocket = (
  url: string,
  protocol: string,
  timeout: number,
  signal: AbortSignal,
): Promise<PlatformSocket> =>
  new Promise((done, failed) => {
    if (signal.aborted) return failed(new WsdError('WSD_DIAL_ABORTED', undefined, { cause: signal.reason }));
    const socket = open(url, protocol);
    const refuse = (error: WsdError): void => {
      finish();
      silence(socket);
      socket.close();
      failed(error);
    };
    const abort = (): void => refuse(new WsdError('WSD_DIAL_ABORTED', undefined, { cause: signal.reason }));
    const cancel = timeout === 0 ? undefined : after(timeout, () => refuse(new WsdError('WSD_DIAL_TIMEOUT')));
    const finish = (): void => {
      cancel?.();
      signal.removeEventListener('abort', abort);
    };
    signal.addEventListener('abort', abort);
    socket.binaryType = 'arraybuffer';
    // By the standard both come, the error first. That of Node 22 is silent after it.
    socket.onerror = () => refuse(new WsdError('WSD_DIAL_CONNECT'));
    socket.onclose = socket.onerror;
    // The next event is a task of its own: by then whoever waits for the way has put it to use.
    socket.onopen = () => {
      if (socket.protocol !== protocol)
        return refuse(new WsdError('WSD_DIAL_PROTOCOL', `the server does not speak ${protocol}`));
      finish();
      silence(socket);
      done(socket);
    };
  });

const open = (url: string, protocol: string): PlatformSocket => {
  try {
    return newSocket(url, protocol);
  } catch (reason) {
    if (reason instanceof TypeError) throw reason;
    throw new WsdError('WSD_DIAL_URL', reason instanceof Error ? reason.message : undefined, { cause: reason });
  }
};
