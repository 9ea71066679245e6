// What is known about a package that is sent → its footer. The library writes it, and what an application wrote there is overwritten.
// The request's footerInclude chooses; names that do not exist are ignored. PROTOCOL.md section 8.1.
import type { PackageFooter } from './package.js';

export interface FooterFacts {
  /** ms since 1970. */
  readonly t: number;
  /** ms from the receipt of the request to now. */
  readonly dt?: number | undefined;
  /** Packages of this session so far. */
  readonly op?: number | undefined;
  /** ms the receiver must wait before its next package of this scope. */
  readonly delay?: number | undefined;
}

/** Footer fields a sender may ask for. `t` always comes. */
export const FOOTER_FIELDS: readonly string[] = ['dt', 'op', 'delay'];

/** A footer has integers only. */
const whole = (value: number): number => Math.max(0, Math.round(value));

/** `include`: what the request asks for; undefined: this answers none. */
export const writeFooter = (include: readonly string[] | undefined, facts: FooterFacts): PackageFooter => {
  const wants = (name: string): boolean => include?.includes(name) === true;
  return {
    t: whole(facts.t),
    ...(facts.dt !== undefined && wants('dt') ? { dt: whole(facts.dt) } : {}),
    ...(facts.op !== undefined && wants('op') ? { op: whole(facts.op) } : {}),
    // A rule, not information: a peer that has to wait is told so, asked or not.
    ...(facts.delay !== undefined && (facts.delay > 0 || wants('delay')) ? { delay: Math.ceil(facts.delay) } : {}),
  };
};
