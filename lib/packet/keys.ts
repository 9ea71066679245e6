// The key schedule: from the shared point and the transcript to every key of a session, HKDF-SHA256 with the labels of RFC 8446 section 7.1.
// A key depends on its direction, on the role of its user and on every octet said before it, so a reflected packet, a swapped role or an
// edited transcript ends in keys that open nothing. Knows no packet. PROTOCOL.md section 6.4.
import type { Suite } from '../crypto/suite.js';

export interface DirectionKeys {
  readonly key: Uint8Array;
  readonly iv: Uint8Array;
}

/** What H1 and Z give: enough to seal the FINISHED packets. */
export interface Schedule {
  readonly c2s: DirectionKeys;
  readonly s2c: DirectionKeys;
  readonly c2sFinished: Uint8Array;
  readonly s2cFinished: Uint8Array;
  /** Everything later is derived from it; erased as soon as that is done. */
  readonly prk: Uint8Array;
}

/** What the complete transcript (H5) adds. The resumption secret itself is not kept: nothing but the binder key is made from it. */
export interface Late {
  readonly exporter: Uint8Array;
  readonly binderKey: Uint8Array;
  readonly packageC2s: Uint8Array;
  readonly packageS2c: Uint8Array;
}

const NOTHING = new Uint8Array(0);
const SERVER: Uint8Array = new TextEncoder().encode('server');

/** `z` is erased: nothing else is made from it. */
export function deriveKeys(suite: Suite, h1: Uint8Array, z: Uint8Array): Schedule {
  const prk = suite.extract(h1, z);
  erase(z);
  return {
    c2s: { key: expandLabel(suite, prk, 'c2s key', h1, 32), iv: expandLabel(suite, prk, 'c2s iv', h1, 12) },
    s2c: { key: expandLabel(suite, prk, 's2c key', h1, 32), iv: expandLabel(suite, prk, 's2c iv', h1, 12) },
    c2sFinished: expandLabel(suite, prk, 'c2s finished', h1, 32),
    s2cFinished: expandLabel(suite, prk, 's2c finished', h1, 32),
    prk,
  };
}

export function deriveLate(suite: Suite, prk: Uint8Array, h5: Uint8Array): Late {
  const resumption = expandLabel(suite, prk, 'resumption', h5, 32);
  const binderKey = expandLabel(suite, resumption, 'binder', NOTHING, 32);
  erase(resumption);
  const exporter = expandLabel(suite, prk, 'exporter', h5, 32);
  return {
    exporter,
    binderKey,
    packageC2s: expandLabel(suite, exporter, 'package c2s', NOTHING, 32),
    packageS2c: expandLabel(suite, exporter, 'package s2c', NOTHING, 32),
  };
}

export const eraseLate = (late: Late): void => erase(late.exporter, late.binderKey, late.packageC2s, late.packageS2c);

/** Section 6.5: ties a new connection (its H3) to the session whose secret the binder key was made from. */
export function binderOf(suite: Suite, binderKey: Uint8Array, h3: Uint8Array): Uint8Array {
  return suite.hmac(binderKey, h3);
}

/** Section 6.5: the answer to a binder, by a server that knows the secret too. H5, and a word before it, so that it cannot be an echo. */
export function proofOf(suite: Suite, binderKey: Uint8Array, h5: Uint8Array): Uint8Array {
  const said = new Uint8Array(SERVER.length + h5.length);
  said.set(SERVER);
  said.set(h5, SERVER.length);
  return suite.hmac(binderKey, said);
}

/** Best effort: a runtime may have moved the octets before, but they do not lie around for the life of the session. */
export function erase(...secrets: readonly (Uint8Array | undefined)[]): void {
  for (const secret of secrets) secret?.fill(0);
}

/** XL(s, label, ctx, L): uint16(L) ‖ uint8(len) ‖ "wsd0 " + label ‖ uint8(len ctx) ‖ ctx (RFC 8446 section 7.1). */
function expandLabel(suite: Suite, secret: Uint8Array, label: string, context: Uint8Array, size: number): Uint8Array {
  const name = `wsd0 ${label}`;
  const info = new Uint8Array(4 + name.length + context.length);
  info[0] = size >>> 8;
  info[1] = size;
  info[2] = name.length;
  for (let i = 0; i < name.length; i++) info[3 + i] = name.charCodeAt(i);
  info[3 + name.length] = context.length;
  info.set(context, 4 + name.length);
  return suite.expand(secret, info, size);
}
