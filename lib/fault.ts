// What a peer can do wrong, as one table: code → where it reaches, what ends it, the one phrase the peer may see.
// Faults are values: nothing here is thrown by a parser. Misuse by our own caller is a TypeError or RangeError at the call.
// Knows no layer. Status codes: RFC 9110; close codes: RFC 6455 section 7.4.

/** How a fault ends: an HTTP answer before the upgrade, a Close frame after it, or a failed dial on the client. */
type Ending = { readonly status: number } | { readonly close: number } | { readonly dial: true };

export const FAULTS = {
  // The HTTP head (RFC 9112)
  WSD_HTTP_NOT_HTTP: { status: 400, phrase: 'These bytes are not HTTP' },
  WSD_HTTP_TLS: { status: 400, phrase: 'This port speaks plain HTTP, not TLS' },
  WSD_HTTP_REQUEST_LINE: { status: 400, phrase: 'Malformed request line' },
  WSD_HTTP_LINE_END: { status: 400, phrase: 'Lines must end with CR LF' },
  WSD_HTTP_FIELD: { status: 400, phrase: 'Malformed header field' },
  WSD_HTTP_DUPLICATE: { status: 400, phrase: 'A header field that must appear once appears twice' },
  WSD_HTTP_BODY: { status: 400, phrase: 'An upgrade request must not carry a body' },
  WSD_HTTP_HOST: { status: 400, phrase: 'Exactly one valid Host header is required' },
  WSD_HTTP_TARGET: { status: 400, phrase: 'Malformed request target' },
  WSD_HTTP_TARGET_LONG: { status: 414, phrase: 'The request target is too long' },
  WSD_HTTP_HEAD_LARGE: { status: 431, phrase: 'The header block is too large' },
  WSD_HTTP_FIELDS: { status: 431, phrase: 'Too many header fields' },
  WSD_HTTP_METHOD: { status: 405, phrase: 'Only GET can open a WebSocket' },
  WSD_HTTP_VERSION: { status: 505, phrase: 'HTTP/1.1 is required' },
  WSD_HTTP_TIMEOUT: { status: 408, phrase: 'The request did not arrive in time' },
  WSD_HTTP_EARLY: { status: 400, phrase: 'Too many bytes before the handshake was answered' },
  WSD_HTTP_PROXY: { status: 400, phrase: 'Malformed or untrusted PROXY header' },
  // The opening handshake (RFC 6455 section 4.2)
  WSD_UPGRADE_REQUIRED: { status: 426, phrase: 'This is a WebSocket endpoint: send Upgrade: websocket' },
  WSD_UPGRADE_CONNECTION: { status: 400, phrase: 'The Connection header must contain the token Upgrade' },
  WSD_UPGRADE_UPGRADE: { status: 400, phrase: 'The Upgrade header must contain the token websocket' },
  WSD_UPGRADE_KEY: { status: 400, phrase: 'Sec-WebSocket-Key must be 16 bytes in base64, once' },
  WSD_UPGRADE_VERSION: { status: 426, phrase: 'Sec-WebSocket-Version must be 13' },
  WSD_UPGRADE_PROTOCOL: { status: 400, phrase: 'Malformed Sec-WebSocket-Protocol' },
  WSD_UPGRADE_EXTENSIONS: { status: 400, phrase: 'Malformed Sec-WebSocket-Extensions' },
  WSD_UPGRADE_ORIGIN: { status: 403, phrase: 'This origin may not connect' },
  WSD_UPGRADE_HOST: { status: 403, phrase: 'This host name is not served here' },
  WSD_UPGRADE_PATH: { status: 404, phrase: 'No WebSocket at this path' },
  WSD_UPGRADE_REFUSED: { status: 403, phrase: 'The connection was refused' },
  WSD_UPGRADE_FAILED: { status: 500, phrase: 'The connection could not be authorized' },
  WSD_UPGRADE_SLOW: { status: 503, phrase: 'Authorization took too long' },
  WSD_UPGRADE_BUSY: { status: 503, phrase: 'The server has no room for another connection' },
  WSD_UPGRADE_RATE: { status: 429, phrase: 'Too many connections from this address' },
  WSD_UPGRADE_CLOSING: { status: 503, phrase: 'The server is shutting down' },
  // Frames (RFC 6455 section 5)
  WSD_FRAME_RSV: { close: 1002, phrase: 'reserved bit set' },
  WSD_FRAME_OPCODE: { close: 1002, phrase: 'reserved opcode' },
  WSD_FRAME_MASK_MISSING: { close: 1002, phrase: 'frame not masked' },
  WSD_FRAME_MASK_PRESENT: { close: 1002, phrase: 'frame masked' },
  WSD_FRAME_LENGTH_FORM: { close: 1002, phrase: 'length not minimal' },
  WSD_FRAME_LENGTH_RANGE: { close: 1002, phrase: 'length out of range' },
  WSD_FRAME_CONTROL_LENGTH: { close: 1002, phrase: 'control frame too long' },
  WSD_FRAME_CONTROL_FRAGMENT: { close: 1002, phrase: 'control frame fragmented' },
  WSD_FRAME_CONTINUATION: { close: 1002, phrase: 'nothing to continue' },
  WSD_FRAME_INTERLEAVED: { close: 1002, phrase: 'message not finished' },
  WSD_FRAME_CLOSE_BODY: { close: 1002, phrase: 'bad close body' },
  WSD_FRAME_CLOSE_CODE: { close: 1002, phrase: 'bad close code' },
  WSD_FRAME_CLOSE_REASON: { close: 1007, phrase: 'close reason not UTF-8' },
  // Messages (RFC 6455 section 5.6, 8.1; RFC 7692)
  WSD_MESSAGE_UTF8: { close: 1007, phrase: 'text not UTF-8' },
  WSD_MESSAGE_SIZE: { close: 1009, phrase: 'message too big' },
  WSD_MESSAGE_FRAGMENTS: { close: 1008, phrase: 'too many fragments' },
  WSD_MESSAGE_AGE: { close: 1008, phrase: 'message took too long' },
  WSD_MESSAGE_RATE: { close: 1008, phrase: 'too many messages' },
  WSD_MESSAGE_ABORTED: { close: 1011, phrase: 'message aborted' },
  WSD_DEFLATE_DATA: { close: 1007, phrase: 'bad compressed data' },
  WSD_DEFLATE_SIZE: { close: 1009, phrase: 'message too big when inflated' },
  WSD_DEFLATE_RATIO: { close: 1009, phrase: 'message expands too much' },
  // Liveness and the end of a connection
  WSD_PEER_SILENT: { close: 1011, phrase: 'keepalive timeout' },
  WSD_PEER_IDLE: { close: 1001, phrase: 'idle timeout' },
  WSD_PEER_SLOW: { close: 1008, phrase: 'reader too slow' },
  WSD_CLOSE_TIMEOUT: { close: 1006, phrase: 'closing handshake timed out' },
  WSD_SOCKET_ENDED: { close: 1006, phrase: 'connection ended without a close frame' },
  WSD_SOCKET_ERROR: { close: 1006, phrase: 'connection failed' },
  WSD_TERMINATED: { close: 1006, phrase: 'terminated' },
  WSD_HANDLER_FAILED: { close: 1011, phrase: 'internal error' },
  // Dialling (client)
  WSD_DIAL_URL: { dial: true, phrase: 'not a ws or wss URL' },
  WSD_DIAL_CONNECT: { dial: true, phrase: 'could not connect' },
  WSD_DIAL_TLS: { dial: true, phrase: 'TLS failed' },
  WSD_DIAL_TIMEOUT: { dial: true, phrase: 'the opening handshake took too long' },
  WSD_DIAL_ABORTED: { dial: true, phrase: 'aborted' },
  WSD_DIAL_ANSWER: { dial: true, phrase: 'the answer is not HTTP' },
  WSD_DIAL_LARGE: { dial: true, phrase: 'the answer is too large' },
  WSD_DIAL_STATUS: { dial: true, phrase: 'the server refused the upgrade' },
  WSD_DIAL_REDIRECT: { dial: true, phrase: 'redirect not followed' },
  WSD_DIAL_UPGRADE: { dial: true, phrase: 'the answer has no valid Upgrade or Connection header' },
  WSD_DIAL_ACCEPT: { dial: true, phrase: 'wrong Sec-WebSocket-Accept' },
  WSD_DIAL_PROTOCOL: { dial: true, phrase: 'the server chose a subprotocol that was not offered' },
  WSD_DIAL_EXTENSION: { dial: true, phrase: 'the server chose an extension that was not offered' },
  WSD_DIAL_PROXY: { dial: true, phrase: 'the proxy refused the tunnel' },
  WSD_DIAL_SESSION: { dial: true, phrase: 'the packet session could not be opened' },
  WSD_DIAL_ENDED: { dial: true, phrase: 'the connection ended during the handshake' },
} as const;

export type FaultCode = keyof typeof FAULTS;

/** What went wrong, as a value. `detail` is for our own log and never reaches the peer. */
export interface Fault {
  readonly kind: 'fault';
  readonly code: FaultCode;
  readonly detail?: string;
}

export const fault = (code: FaultCode, detail?: string): Fault =>
  detail === undefined ? { kind: 'fault', code } : { kind: 'fault', code, detail };

/** The HTTP status a fault answers with; 400 for one that has none of its own. */
export const statusOf = (code: FaultCode): number => {
  const row: Ending = FAULTS[code];
  return 'status' in row ? row.status : 400;
};

/** The close code a fault ends a connection with; 1006 where no Close frame can be sent. */
export const closeCodeOf = (code: FaultCode): number => {
  const row: Ending = FAULTS[code];
  return 'close' in row ? row.close : 1006;
};

/** What somebody threw, as text; anything can be thrown, even what cannot be shown. */
export const textOf = (reason: unknown): string => {
  try {
    return String(reason);
  } catch {
    return 'something that cannot be shown';
  }
};

export const phraseOf = (code: FaultCode): string => FAULTS[code].phrase;

/** A fault as an Error, for the places where a promise of ours rejects. Never made on the path of bytes. */
export class WsdError extends Error {
  readonly code: FaultCode;
  /** The HTTP status of the peer's refusal, when there was one. */
  readonly status: number | undefined;
  constructor(code: FaultCode, detail?: string, options?: ErrorOptions & { readonly status?: number | undefined }) {
    super(detail === undefined ? phraseOf(code) : `${phraseOf(code)}: ${detail}`, options);
    this.name = 'WsdError';
    this.code = code;
    this.status = options?.status;
  }
}
