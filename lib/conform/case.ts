// The words of the conformance room: what a case is, what may be seen, and what a verdict looks like. Hardly any behaviour.
// A case is a plan for one connection. The fuzzer plays it against the testee, which has to echo every message.

/** Bytes of a case, made when asked for: some cases carry 16 MiB. */
export interface Payload {
  readonly length: number;
  /** How the payload reads in a script or a report. */
  readonly text: string;
  bytes(): Uint8Array;
}

export type Step =
  | {
      readonly do: 'frame';
      readonly opcode: number;
      readonly fin: boolean;
      readonly rsv: number;
      readonly payload: Payload;
      /** The encoded frame goes out in TCP writes of that many bytes; 0 means in one. */
      readonly chop: number;
      /** The frame goes out in a write of its own. */
      readonly alone: boolean;
    }
  /** One data message, in frames of `fragment` bytes when that is not 0. */
  | { readonly do: 'message'; readonly binary: boolean; readonly payload: Payload; readonly fragment: number }
  | { readonly do: 'header'; readonly opcode: number; readonly fin: boolean; readonly length: number }
  /** The next piece of the frame a header step announced. */
  | { readonly do: 'bytes'; readonly payload: Payload }
  | { readonly do: 'close'; readonly payload: Payload }
  /** With a tag, the steps after it happen only while the connection is fully open, and the tag is noted as an event. */
  | { readonly do: 'wait'; readonly ms: number; readonly tag: string | undefined }
  /** Armed here. fail: Close 1001 when open, drop TCP when closing. close: an empty Close when open. */
  | { readonly do: 'timer'; readonly ms: number; readonly otherwise: 'fail' | 'close' };

/** What the fuzzer expects to see, in exactly this order. */
export type Expected =
  | { readonly event: 'text' | 'binary' | 'pong'; readonly payload: Payload }
  | { readonly event: 'timeout'; readonly tag: string };

export interface CloseTerms {
  readonly first: 'fuzzer' | 'testee';
  /** Acceptable codes in the testee's Close. None at all is acceptable too. */
  readonly codes: readonly number[];
  /** Both Close frames exchanged, and a server ended TCP by itself. */
  readonly clean: boolean;
  /** When the fuzzer had to close first the main grade is FAILED too. */
  readonly closingFirstFails: boolean;
}

export type Plan =
  | {
      readonly kind: 'script';
      readonly steps: readonly Step[];
      readonly ok: readonly Expected[];
      readonly lax: readonly Expected[] | undefined;
    }
  /** One large message; only type and length of what comes back count. */
  | {
      readonly kind: 'big';
      readonly step: Step;
      readonly binary: boolean;
      readonly length: number;
      readonly ms: number;
    }
  /** The same message again and again, one at a time; only type and length count. */
  | {
      readonly kind: 'rounds';
      readonly binary: boolean;
      readonly payload: Payload;
      readonly count: number;
      readonly ms: number;
    }
  | {
      readonly kind: 'deflate';
      readonly data: DataName;
      readonly binary: boolean;
      /** Bytes for binary, code points for text. */
      readonly size: number;
      readonly count: number;
      readonly ms: number;
      /** Compressed messages above this many bytes are cut into frames of it; 0 means never. */
      readonly fragment: number;
      readonly offer: string;
      /** 1-7: which terms a fuzzing server answers with. */
      readonly accept: number;
    };

export type DataName = 'json' | 'html' | 'prose' | 'bitmap' | 'dense';

export interface Case {
  readonly id: string;
  readonly section: string;
  readonly family: string;
  readonly title: string;
  /** The plan in the words of the fixtures, for reports. */
  readonly script: readonly string[];
  readonly plan: Plan;
  readonly close: CloseTerms;
  readonly strictCode: boolean;
  /** The fuzzer does not close by itself once the expected events are there. */
  readonly hold: boolean;
  /** The grade this case gets whatever happened, once the connection opened. */
  readonly always: 'INFORMATIONAL' | undefined;
}

export type Behavior = 'OK' | 'NON-STRICT' | 'INFORMATIONAL' | 'UNIMPLEMENTED' | 'FAILED';
export type CloseGrade = 'OK' | 'INFORMATIONAL' | 'FAILED' | 'UNCLEAN' | 'WRONG CODE' | 'FAILED BY CLIENT';
export type Verdict = 'passed' | 'non-strict' | 'informational' | 'unimplemented' | 'failed';

/** One line of what went over the wire. */
export interface WireEntry {
  /** Milliseconds since the connection opened. */
  readonly at: number;
  /** in: from the testee. out: from the fuzzer. note: no bytes, something that happened. */
  readonly way: 'in' | 'out' | 'note';
  /** A frame as text ("text fin rsv4"), or the note. */
  readonly what: string;
  readonly length?: number;
  /** The first bytes of the payload, unmasked, in hexadecimal. */
  readonly head?: string;
}

export interface CaseResult {
  readonly id: string;
  readonly section: string;
  readonly family: string;
  readonly title: string;
  readonly script: readonly string[];
  readonly behavior: Behavior;
  readonly behaviorClose: CloseGrade;
  readonly verdict: Verdict;
  /** What had to be seen, and what was, each as a sentence. */
  readonly expected: string;
  readonly seen: string;
  readonly closeCode: number | undefined;
  readonly durationMs: number;
  readonly wire: readonly WireEntry[];
}

/** The usual acceptance: NON-STRICT and INFORMATIONAL pass, anything else that is not OK does not. */
export const verdictOf = (behavior: Behavior, close: CloseGrade): Verdict => {
  if (behavior === 'UNIMPLEMENTED') return 'unimplemented';
  if (behavior === 'FAILED' || (close !== 'OK' && close !== 'INFORMATIONAL')) return 'failed';
  if (behavior === 'NON-STRICT') return 'non-strict';
  return behavior === 'INFORMATIONAL' ? 'informational' : 'passed';
};
