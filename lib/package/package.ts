// What a package is, as types: header, body and footer, the JWT claims beside them, and who may send what. PROTOCOL.md sections 8.1 and 8.2.

export type JsonObject = { readonly [name: string]: unknown };

export interface PackageHeader {
  readonly scope: number;
  /** Not on behalf of a user: user and channel are ignored. */
  readonly internal: boolean;
  readonly body: boolean;
  readonly destination?: string;
  /** Snowflakes. */
  readonly user?: string;
  readonly channel?: string;
  readonly footerInclude?: readonly string[];
}

export interface PackageFooter {
  readonly t: number;
  readonly dt?: number;
  readonly op?: number;
  readonly delay?: number;
}

export interface Package {
  readonly header: PackageHeader;
  readonly body?: JsonObject;
  readonly footer?: PackageFooter;
}

export interface Claims {
  /** The node that signed this hop. */
  readonly iss: string;
  /** Seconds since 1970. */
  readonly iat: number;
  readonly exp: number;
  readonly jti: string;
  /** The jti this one answers. */
  readonly re?: string;
  /** Who sent it first, when the dispatch has forwarded it, and in which role. */
  readonly org?: string;
  readonly rol?: SenderRole;
  readonly aud?: string;
}

export type Role = 'front' | 'service' | 'dispatch';
/** Of those whose packages are forwarded. */
export type SenderRole = Exclude<Role, 'dispatch'>;
export type Algorithm = 'ES256' | 'HS256';
export type Permission = 'assign';

/** Who somebody is, and what he may do. */
export interface Grant {
  readonly node: string;
  readonly role: Role;
  /** Scopes that may be sent; undefined: all that the role may. */
  readonly scopes?: readonly number[] | undefined;
  /** Users that may be spoken for; undefined: all. */
  readonly users?: readonly string[] | undefined;
  readonly permissions?: readonly Permission[] | undefined;
  /** Names under which others may mean this node (body.endpoint of scope 100). Never dialled. */
  readonly endpoints?: readonly string[] | undefined;
}

/** What verifies the tokens of one key. Made in token-node.ts or token-portable.ts; no key material can be read from it. */
export interface Verifier {
  readonly alg: Algorithm;
  /** The three parts were checked to be canonical; true: the signature holds. */
  verify(token: string): boolean;
  /** Whether the other one has the same key. Absent: it is the same as itself alone. */
  isSame?(other: Verifier): boolean;
}

/** A key that may sign what reaches us, and whose it is. */
export interface KeyRecord extends Grant {
  readonly kid: string;
  readonly verifier: Verifier;
  /** What signs for its holder, where that is not our own key: by HS256 both ends have one secret and one kid. */
  readonly signer?: Signer | undefined;
}

/** What signs our own tokens. */
export interface Signer {
  readonly kid: string;
  readonly alg: Algorithm;
  /** Becomes the claim iss. */
  readonly node: string;
  /** The payload is escaped JSON text; the result is the compact JWS. */
  sign(payload: string): string;
}

/** Where verifying keys are found; a key ring, or the one key of a session. */
export interface KeySource {
  find(kid: string): KeyRecord | undefined;
}
