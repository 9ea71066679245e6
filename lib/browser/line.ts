// A WebSocket of the platform as the carrier of packages: one text message each. PROTOCOL.md section 1 (v0.package.wsd). What waits in the socket
// of a dispatch that takes nothing is bounded here: the platform would keep it all.
import type { CarrierSink, LinkEnd, TextCarrier, TextLine } from '../link/package-carriers.js';
import type { PlatformSocket } from './page.js';
import { isOwnCode, silence } from './way.js';

const OPEN = 1;
const MOST_WAITING = 4 * 1024 * 1024;
/** RFC 6455 section 7.4.1 */
const UNSUPPORTED = 1003;
const GONE: LinkEnd = { code: 1006, reason: '' };

export class SocketLine implements TextLine {
  readonly #socket: PlatformSocket;
  #ended: ((end: LinkEnd) => void) | undefined;

  constructor(socket: PlatformSocket) {
    this.#socket = socket;
  }

  carry(sink: CarrierSink): TextCarrier {
    const socket = this.#socket;
    this.#ended = (end) => {
      this.#ended = undefined;
      silence(socket);
      sink.ended(end);
    };
    socket.onmessage = ({ data }: { readonly data: unknown }) => {
      if (typeof data === 'string') sink.text(data);
      else sink.wrong(UNSUPPORTED, 'packages are text');
    };
    socket.onclose = ({ code, reason }: LinkEnd) => this.#ended?.({ code, reason });
    return {
      send: (text) => {
        if (socket.readyState !== OPEN) return;
        if (socket.bufferedAmount + text.length <= MOST_WAITING) socket.send(text);
        else sink.lost(new Error('a package was dropped: its receiver reads too slowly'));
      },
      get choked() {
        return socket.readyState === OPEN && socket.bufferedAmount > MOST_WAITING / 2;
      },
      // A page can close with few codes (HTML: WebSockets, close()).
      close: (code, reason) => socket.close(isOwnCode(code) ? code : 1000, reason),
      // A page cannot stop reading: the peer is told `busy`.
      pressure: () => {},
    };
  }

  /** A page cannot cut: it leaves, and hears nothing any more. */
  terminate(): void {
    silence(this.#socket);
    this.#socket.close();
    this.#ended?.(GONE);
  }
}
