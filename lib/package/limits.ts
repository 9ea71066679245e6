// The sizes and times of the package layer, once. PROTOCOL.md sections 8.2, 8.4, 9.1 and 10.

/** Octets of a token, the whole compact JWS. */
export const MAX_PACKAGE = 65_536;
/** Objects and arrays in one another, counted on the text. */
export const MAX_NESTING = 32;

/** Fixed lengths: the maximum number of UTF-8 octets of a string (section 8.4). */
export const LENGTHS = {
  node: 64,
  endpoint: 256,
  snowflake: 20,
  footerItem: 16,
  jti: 64,
  code: 32,
  message: 256,
  userDataKey: 128,
  userData: 49_152,
} as const;

/**
 * Octets of a document, escaped: less than LENGTHS.userData, because a document that is taken must fit the token of the UD_TRANSFER that
 * hands it over, in base64url and beside the longest header and claims.
 */
export const MAX_DOCUMENT = 47_104;

export const MAX_FOOTER_ITEMS = 8;
export const MAX_ISSUES = 8;

/** Seconds. */
export const TOKEN_TTL = 60;
export const MAX_TOKEN_TTL = 300;
export const CLOCK_TOLERANCE = 30;
/** jtis remembered of one issuer. */
export const MAX_JTIS = 10_000;

/** Milliseconds. */
export const REQUEST_TIMEOUT = 10_000;
export const OWNERSHIP_TIMEOUT = 30_000;
export const LEASE = 15_000;
export const REVOKE_DEADLINE = 5_000;
export const MINIMUM_HOLD = 1_000;
/** Requests that may wait for one document. */
export const MAX_WAITING = 16;
/** Conflict copies kept of one document; and of these, of one node. */
export const MAX_CONFLICTS = 16;
export const MAX_NODE_CONFLICTS = 4;
/** Former owners of a document that are remembered. */
export const MAX_PAST_OWNERS = 8;
/** Writes of one node that the store has not answered yet: each holds a document in memory. */
export const MAX_NODE_WRITES = 512;

/** The longest secret below this is refused (RFC 7518 section 3.2). */
export const MIN_SECRET = 32;
