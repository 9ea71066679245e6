// A fault ↔ the body of an ERROR package. Out: the code, its phrase, at most 8 issues; of what is wrong in detail only what the schemas said.
// In: what the peer says, with our own phrases. PROTOCOL.md sections 8.4 and 9.
import { isPackageCode, PACKAGE_CODES, type PackageCode, type PackageFault, type PackageIssue } from './codes.js';
import { isCleanText } from './escape.js';
import { clipPath } from './issues.js';
import { LENGTHS, MAX_ISSUES } from './limits.js';
import { isLonger } from './octets.js';
import type { JsonObject } from './package.js';

/** `scope`: of the package that is refused, where it could be read. */
export const writeError = ({ code, issues }: PackageFault, scope: number | undefined): JsonObject => ({
  code,
  message: PACKAGE_CODES[code].phrase,
  ...(scope === undefined ? {} : { scope }),
  // Those of a schema are short already, those of a handler may be anything.
  ...(issues.length === 0 ? {} : { issues: issues.slice(0, MAX_ISSUES).map(clipIssue) }),
});

const clipIssue = ({ path, message }: PackageIssue): PackageIssue => ({
  path: clipPath(path),
  message: isLonger(message, LENGTHS.message) || !isCleanText(message) ? 'is not valid' : message,
});

export interface ReadError {
  /** A code that is not in the table says no more than that something failed there. */
  readonly code: PackageCode;
  readonly scope: number | undefined;
  readonly issues: readonly PackageIssue[];
}

/** `body` is what the schema of ERROR gave. */
export const readError = (body: unknown): ReadError => {
  const { code, scope, issues = [] } = body as { code: string; scope?: number; issues?: readonly PackageIssue[] };
  return { code: isPackageCode(code) ? code : 'internal', scope, issues };
};
