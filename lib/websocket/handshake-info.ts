// What users see of an opening handshake, as a type of its own: a session in a page has it too, and there is nothing of a connection there.
import type { Fields } from '../http/fields.js';

/** What the handshake said. On the client: of its own request, with the fields of the answer. */
export interface HandshakeInfo {
  readonly path: string;
  readonly query: string;
  readonly origin: string | undefined;
  readonly fields: Fields;
}
