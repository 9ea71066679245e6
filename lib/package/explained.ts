// What explainPackage tells: one token or payload with all that can be read of it, however wrong it is. Types only.
import type { PackageCode, PackageIssue } from './codes.js';
import type { JsonObject, Verifier } from './package.js';

/**
 * `holds` and `wrong` by the key that was found; `no key`: none was given, or none of this kid; `unreadable`: the parts are no token;
 * `none`: a payload by itself.
 */
export type ExplainedSignature = 'holds' | 'wrong' | 'no key' | 'unreadable' | 'none';

export interface ExplainedPackageFault {
  readonly code: PackageCode;
  readonly phrase: string;
  readonly detail: string | undefined;
  readonly issues: readonly PackageIssue[];
  /** What a receiver does: undefined: it answers with an ERROR package and goes on. */
  readonly close: number | undefined;
  /** Of PROTOCOL.md. */
  readonly section: string;
}

export interface ExplainedScope {
  readonly id: number;
  /** Undefined: nobody has told what it means. */
  readonly name: string | undefined;
  /** core, userdata, reserved, own */
  readonly range: string;
  /** Of the answer; undefined: it has none, or nobody knows. */
  readonly reply: number | undefined;
}

export interface ExplainedPackage {
  /** Of the token, or of the payload. */
  readonly octets: number;
  readonly signature: ExplainedSignature;
  /** The protected header as it was signed; undefined: there is none, or it is not base64url. */
  readonly protectedHeader: string | undefined;
  readonly alg: string | undefined;
  readonly kid: string | undefined;
  /** As it was signed. */
  readonly payload: string | undefined;
  /** Whether the payload is the one escaped text of its value. Only of fronts it is demanded. */
  readonly escaped: boolean | undefined;
  readonly header: unknown;
  readonly body: unknown;
  readonly footer: unknown;
  readonly claims: JsonObject;
  readonly scope: ExplainedScope | undefined;
  /** In the order in which a receiver would find them; it stops at the first. */
  readonly faults: readonly ExplainedPackageFault[];
  readonly notes: readonly string[];
}

/** A key ring, or anything that finds verifiers. */
export interface ExplainKeys {
  find(kid: string): { readonly verifier: Verifier; readonly node?: string | undefined } | undefined;
}
