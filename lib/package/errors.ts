// What fails → exceptions: why a call came to nothing (PackageError, for who called), and why a handler does not do what it was asked
// (Refusal, for who asked). Faults of a peer are values everywhere else. PROTOCOL.md sections 8.4 and 9.
import {
  isPackageCode,
  PACKAGE_CODES,
  type PackageCode,
  type PackageFault,
  type PackageIssue,
  packageFault,
} from './codes.js';

/** Besides what a peer says: no answer in time, called off by its caller, the connection or session is gone, an answer that is not valid. */
export type CallCode = PackageCode | 'timeout' | 'aborted' | 'lost' | 'bad_answer';

const PHRASES: Readonly<Record<Exclude<CallCode, PackageCode>, string>> = {
  timeout: 'no answer came in time',
  aborted: 'the call was called off',
  lost: 'the connection is gone',
  bad_answer: 'the answer is not what its scope says',
};

/** Our own phrase, whatever the peer's message said: it may go to a log. */
export const phraseOf = (code: CallCode): string => (isPackageCode(code) ? PACKAGE_CODES[code].phrase : PHRASES[code]);

export interface PackageErrorParts {
  /** The scope that was called; undefined: who refused it did not say. */
  readonly scope: number | undefined;
  readonly issues?: readonly PackageIssue[] | undefined;
  readonly delay?: number | undefined;
  /** Who refused it; undefined: nobody did. */
  readonly from?: string | undefined;
  readonly cause?: unknown;
}

/** A call that came to nothing. `code` says why: a code of the table, or one found here. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
  readonly code: CallCode;
  readonly scope: number | undefined;
  readonly issues: readonly PackageIssue[];
  /** ms in which packages of that scope to that node wait here; those of another node's asking at most 10 s. */
  readonly delay: number | undefined;
  readonly from: string | undefined;

  constructor(code: CallCode, { scope, issues = [], delay, from, cause }: PackageErrorParts) {
    const [first] = issues;
    const where = first === undefined ? '' : ` (${first.path.join('.')} ${first.message})`;
    super(`${code}: ${phraseOf(code)}${where}`, cause === undefined ? undefined : { cause });
    this.code = code;
    this.scope = scope;
    this.issues = issues;
    this.delay = delay;
    this.from = from;
  }
}

/**
 * Thrown by a handler, or by anything it calls, to refuse the package: its sender gets an ERROR with that code. All else that is thrown is
 * `internal` to him and an error here, a PackageError of another call included: what others said to us is not for him.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly fault: PackageFault;

  constructor(code: PackageCode, more: Parameters<typeof packageFault>[1] = {}) {
    super(more.detail ?? PACKAGE_CODES[code].phrase);
    this.fault = packageFault(code, more);
  }
}
