// What a peer can do wrong with a package: the codes of ERROR packages, their phrases, and what each does to the connection.
// PROTOCOL.md sections 8.4 and 9.

/** The phrase is all that a peer is told besides the issues. `close`: the connection ends with it, and no ERROR is sent. */
export const PACKAGE_CODES = {
  bad_token: { phrase: 'the token is not valid', close: 1008 },
  token_expired: { phrase: 'the token has expired, or is from the future', close: undefined },
  replayed: { phrase: 'this token was received before', close: undefined },
  not_escaped: { phrase: 'the payload is not escaped', close: undefined },
  too_long: { phrase: 'a text is longer than its fixed length', close: undefined },
  bad_header: { phrase: 'the header is not valid', close: undefined },
  bad_body: { phrase: 'the body is not valid', close: undefined },
  unknown_scope: { phrase: 'this scope is not known here', close: undefined },
  unknown_destination: { phrase: 'the destination is not connected', close: undefined },
  forbidden: { phrase: 'this node may not do that', close: undefined },
  busy: { phrase: 'too many wait already', close: undefined },
  owner_timeout: { phrase: 'the owner has not let go in time', close: undefined },
  stale_epoch: { phrase: 'the epoch is over: another owner came', close: undefined },
  rate_limited: { phrase: 'too many packages of this scope', close: undefined },
  internal: { phrase: 'something failed here', close: undefined },
} as const;

/** How a connection of a node is closed besides those, and the word that says why. Neither is a reason to come back at once. */
export const NODE_CLOSE = {
  /** A newer connection of the same node is there. */
  replaced: 4001,
  /** Its key is not good any more. */
  revoked: 4003,
} as const;

/** RFC 6455 section 7.4.1 as registered with IANA, "service restart": its rights are others now, and it comes back at once with those. */
export const RIGHTS_CLOSE = 1012;

export type PackageCode = keyof typeof PACKAGE_CODES;

/** One thing that is wrong with a header or a body. */
export interface PackageIssue {
  readonly path: ReadonlyArray<string | number>;
  readonly message: string;
}

export interface PackageFault {
  readonly kind: 'package-fault';
  readonly code: PackageCode;
  /** For the log; never sent. */
  readonly detail: string | undefined;
  /** At most 8 of them are sent. */
  readonly issues: readonly PackageIssue[];
  /** ms the peer is asked to wait: the footer's delay. */
  readonly delay: number | undefined;
  /** Of a token that is too long as a whole: 1009. Otherwise as the table says. */
  readonly close: number | undefined;
}

export const packageFault = (
  code: PackageCode,
  more: Partial<Pick<PackageFault, 'detail' | 'issues' | 'delay' | 'close'>> = {},
): PackageFault => ({
  kind: 'package-fault',
  code,
  detail: more.detail,
  issues: more.issues ?? [],
  delay: more.delay,
  close: more.close ?? PACKAGE_CODES[code].close,
});

export const isPackageCode = (text: string): text is PackageCode => Object.hasOwn(PACKAGE_CODES, text);

/** For our own logs and error texts: the code, what exactly, and where. */
export const describeFault = ({ code, detail, issues }: PackageFault): string => {
  const where = issues.map(({ path, message }) => `${path.join('.')} ${message}`).join('; ');
  return [code, detail, where].filter((part) => part !== undefined && part !== '').join(': ');
};
