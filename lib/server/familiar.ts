// Requests that differ from an earlier one in nothing but their key → the same request, without reading it again. Fleets of one kind of
// client, which all come back at once when a server was restarted, send nothing else; and of such connections one text is kept for all.
// A head is what its octets say, so this decides nothing: host, origin, admission and authorisation are judged for each. Heads that carry
// a credential are not kept; the comparison takes the same time wherever two heads differ.
import { equalBytes } from '../crypto/digest.js';
import { isKey } from '../websocket/accept.js';
import type { UpgradeRequest } from '../websocket/opening-server.js';

/** So many kinds of clients at once are enough for a fleet. */
const MOST = 8;
const KEY_SIZE = 24;

/** A head with the place of the key in it. */
export interface Shared {
  readonly head: Buffer;
  readonly keyAt: number;
}

interface Known extends Shared {
  readonly request: UpgradeRequest;
}

/** A request, and what it shares with others. */
export interface Recognised {
  readonly request: UpgradeRequest;
  readonly shared: Shared;
}

const CREDENTIALS = ['cookie', 'authorization', 'proxy-authorization', 'sec-websocket-protocol'];

export class Familiar {
  readonly #known: Known[] = [];
  #next = 0;

  /** The request that `head` is, when all of it is known but the key. */
  find(head: Uint8Array): Recognised | undefined {
    for (const known of this.#known) {
      if (known.head.length !== head.length) continue;
      const { keyAt } = known;
      const end = keyAt + KEY_SIZE;
      const same =
        equalBytes(head.subarray(0, keyAt), known.head.subarray(0, keyAt)) &&
        equalBytes(head.subarray(end), known.head.subarray(end));
      if (!same) continue;
      const octets = Buffer.from(head.buffer, head.byteOffset, head.length);
      const text = octets.toString('latin1');
      const key = octets.toString('latin1', keyAt, end); // not a slice of the text, which would live as long
      return isKey(key) ? { request: again(known.request, key, text), shared: known } : undefined;
    }
    return undefined;
  }

  /** `head`: exactly the octets that `request` was read from. */
  remember(head: Uint8Array, request: UpgradeRequest): void {
    const { fields } = request.head;
    if (request.query !== '' || CREDENTIALS.some((name) => fields.has(name))) return;
    const keyAt = fields.at('sec-websocket-key');
    if (keyAt < 0) return;
    this.#known[this.#next] = { head: Buffer.from(head), keyAt, request };
    this.#next = (this.#next + 1) % MOST;
  }
}

const again = (request: UpgradeRequest, key: string, text: string): UpgradeRequest => {
  const { method, target, fields } = request.head;
  return { ...request, key, head: { method, target, fields: fields.like(text) } };
};

/** The text of a head of which only the key is its own. */
export const textOfShared = ({ head, keyAt }: Shared, key: string): string =>
  head.toString('latin1', 0, keyAt) + key + head.toString('latin1', keyAt + KEY_SIZE);
