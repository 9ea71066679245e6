// What was seen of one connection → the two grades of its case and the sentences that explain them. Knows no bytes on the wire and
// decides nothing while a case runs. The grades and their order are those of the suite whose cases these are.
import {
  type Behavior,
  type Case,
  type CaseResult,
  type CloseGrade,
  type Expected,
  type Verdict,
  verdictOf,
} from './case.js';
import { brief, headOf } from './payload.js';
import type { Peer } from './peer.js';

export interface Seen {
  readonly event: 'text' | 'binary' | 'pong' | 'timeout';
  readonly payload?: Uint8Array;
  readonly tag?: string;
}

export interface Evidence {
  readonly test: Case;
  readonly peer: Peer;
  readonly seen: readonly Seen[];
  /** The grade by events alone. */
  readonly matched: Behavior;
  readonly why: string | undefined;
  readonly round: number;
}

export interface Grades {
  readonly behavior: Behavior;
  readonly behaviorClose: CloseGrade;
  readonly verdict: Verdict;
  readonly expected: string;
  readonly seen: string;
}

/** In this order; the first that applies wins. */
const gradeClose = ({ test, peer }: Evidence): CloseGrade => {
  if ((test.close.first === 'fuzzer') !== peer.closedFirst) return 'FAILED';
  if (test.close.clean && !peer.clean) return 'UNCLEAN';
  if (peer.closeCode !== undefined && !test.close.codes.includes(peer.closeCode)) return 'WRONG CODE';
  if (peer.role === 'client' && peer.dropped) return 'FAILED BY CLIENT';
  return 'OK';
};

const expectedText = (e: Expected): string =>
  e.event === 'timeout' ? `the connection still open at ${e.tag}` : `${e.event} of ${brief(e.payload)}`;

/** Plain ASCII as words, anything else as its first bytes in hexadecimal. */
const look = (bytes: Uint8Array): string => {
  const cut = bytes.length > 20;
  const shown = bytes.subarray(0, 20);
  if (shown.every((octet) => octet >= 32 && octet < 127)) {
    return ` ('${Buffer.from(shown).toString('latin1')}'${cut ? '…' : ''})`;
  }
  return ` (x${headOf(bytes, 12)}${bytes.length > 12 ? '…' : ''})`;
};

const seenText = (s: Seen): string => {
  if (s.event === 'timeout') return `still open at ${s.tag ?? '?'}`;
  const bytes = s.payload ?? new Uint8Array(0);
  const size = bytes.length === 0 ? 'no bytes' : `${bytes.length} byte${bytes.length === 1 ? '' : 's'}`;
  return `${s.event} of ${size}${bytes.length === 0 ? '' : look(bytes)}`;
};

const list = (parts: readonly string[], none: string): string => {
  if (parts.length === 0) return none;
  return parts.length <= 6
    ? parts.join(', then ')
    : `${parts.slice(0, 5).join(', then ')} and ${parts.length - 5} more`;
};

const closeWords = (test: Case): string => {
  const { first, codes, clean } = test.close;
  const unique = [...new Set(codes)].join(' or ');
  if (first === 'testee') return `the testee ends the connection: Close ${unique}, or simply TCP`;
  return clean ? `a clean close with ${unique} or no code` : `Close ${unique}, no code, or the end of TCP`;
};

export const expectation = (test: Case): string => {
  const { plan } = test;
  if (test.always !== undefined) return 'nothing in particular: what happens is noted';
  if (plan.kind === 'big')
    return `a ${plan.binary ? 'binary' : 'text'} message of ${plan.length} bytes back within ${plan.ms / 1000} s; ${closeWords(test)}`;
  if (plan.kind === 'rounds' || plan.kind === 'deflate') {
    const what = plan.kind === 'rounds' ? 'with its length' : 'byte for byte';
    return `each of ${plan.count} messages back ${what} within ${plan.ms / 1000} s; ${closeWords(test)}`;
  }
  const lax = plan.lax === undefined ? '' : ` (not strict: ${list(plan.lax.map(expectedText), 'nothing')})`;
  return `${list(plan.ok.map(expectedText), 'nothing back')}${lax}; ${closeWords(test)}`;
};

const observed = ({ peer, seen, why, test, round }: Evidence): string => {
  const parts: string[] = [];
  if (test.plan.kind === 'script') parts.push(list(seen.map(seenText), 'nothing back'));
  else parts.push(why ?? (test.plan.kind === 'big' ? 'no message came back' : `message ${round} did not come back`));
  if (peer.complaint !== undefined) parts.push(peer.complaint);
  if (peer.closeSeen) {
    const who = peer.closedFirst ? 'the testee answered with' : 'the testee closed first with';
    parts.push(`${who} Close ${peer.closeCode ?? 'without a code'}`);
  } else parts.push('no Close from the testee');
  if (peer.dropped) parts.push('the fuzzer had to drop TCP');
  return parts.join('; ');
};

export const gradeCase = (evidence: Evidence): Grades => {
  const { test, peer } = evidence;
  let behavior: Behavior = evidence.matched;
  let behaviorClose = gradeClose(evidence);
  if (test.close.closingFirstFails && peer.closedFirst) behavior = 'FAILED';
  if (test.strictCode && behaviorClose === 'WRONG CODE') behavior = 'FAILED';
  if (test.always !== undefined) {
    behavior = test.always;
    behaviorClose = test.always;
  }
  return {
    behavior,
    behaviorClose,
    verdict: verdictOf(behavior, behaviorClose),
    expected: expectation(test),
    seen: observed(evidence),
  };
};

/** A case whose connection never opened. */
export const gradeUnopened = (test: Case, why: string, durationMs: number): CaseResult => ({
  id: test.id,
  section: test.section,
  family: test.family,
  title: test.title,
  script: test.script,
  behavior: 'FAILED',
  behaviorClose: 'FAILED',
  verdict: 'failed',
  expected: expectation(test),
  seen: `the opening handshake failed: ${why}`,
  closeCode: undefined,
  durationMs,
  wire: [],
});
