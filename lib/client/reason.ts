// An error of the system or of OpenSSL → why a dial failed, in one line without what only a programmer of theirs can read.

interface SystemError extends Error {
  readonly code?: unknown;
  /** What OpenSSL says of an error of its own, without the place in its sources. */
  readonly reason?: unknown;
}

/** What is no record of TLS: the other end speaks something else. */
const NOT_TLS: ReadonlySet<unknown> = new Set([
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ERR_SSL_PACKET_LENGTH_TOO_LONG',
  'ERR_SSL_HTTP_REQUEST',
  'ERR_SSL_UNKNOWN_PROTOCOL',
]);

/** `who` as in dial: empty for the server. */
export const reasonFor = (error: SystemError, who: string): string => {
  if (NOT_TLS.has(error.code)) {
    return who === ''
      ? 'the server does not speak TLS on this port: try ws://'
      : `${who}it does not speak TLS on this port: try http://`;
  }
  if (typeof error.code === 'string' && error.code.startsWith('ERR_SSL') && typeof error.reason === 'string') {
    return `${who}${error.reason}`;
  }
  return `${who}${messageOf(error).trim()}`;
};

/** Several addresses were tried: the message of the whole is empty, and each part has its own. */
const messageOf = (error: Error): string =>
  error instanceof AggregateError && error.errors.length > 0
    ? error.errors.map((part: unknown) => (part instanceof Error ? part.message : String(part))).join('; ')
    : error.message;
