// FINISHED, written and judged: who we are (CERT_VERIFY by the certificate's key over the transcript) and that we hold the same keys and have
// seen the same packets (VERIFY_DATA). The same for both roles, since each signs the transcript up to its own packet. Without CERT_VERIFY
// a certificate proves nothing: anyone can copy one. PROTOCOL.md sections 6.3 and 6.5.
import type { Own, Verified } from '../crypto/identity.js';
import type { Suite } from '../crypto/suite.js';
import {
  type Blocks,
  type Params,
  parseBlocks,
  parseCertVerify,
  parseParams,
  writeBlocks,
  writeCertVerify,
  writeParams,
} from './blocks.js';
import { type PacketFault, packetFault } from './codes.js';
import { transcriptHash } from './transcript.js';

/** One end's FINISHED, seen from either side. */
export interface Finishing {
  readonly suite: Suite;
  /** Whose FINISHED it is. */
  readonly role: 'server' | 'client';
  /** Everything said before it: prologue, AUTH_C, AUTH_S, and for the client FIN_S. */
  readonly said: readonly Uint8Array[];
  /** That role's finished key. */
  readonly key: Uint8Array;
}

export interface Finished {
  readonly kind: 'finished';
  readonly blocks: Blocks;
  readonly params: Params | undefined;
}

const EMPTY = new Uint8Array(0);

/** `resume`: the value of the block RESUME. */
export function writeFinished(
  finishing: Finishing,
  own: Own | undefined,
  params: Params,
  resume?: Uint8Array,
): Uint8Array {
  const { role } = finishing;
  const proof =
    own === undefined
      ? undefined
      : writeCertVerify({ scheme: own.scheme, signature: own.sign(signedBy(role, hashOf(finishing))) });
  return writeBlocks({
    certVerify: proof,
    verifyData: verifyData(finishing, proof ?? EMPTY),
    params: writeParams(params),
    resume,
  });
}

/** `shown`: its AUTH carried a certificate; `peer`: what was found in it, undefined when nobody looked. */
export function judgeFinished(
  finishing: Finishing,
  body: Uint8Array,
  shown: boolean,
  peer: Verified | undefined,
): Finished | PacketFault {
  const { role, suite } = finishing;
  const blocks = parseBlocks(body, `${role} FINISHED`);
  if (blocks.kind === 'packet-fault') return blocks;
  const proof = blocks.certVerify;
  if (proof !== undefined && !shown) return packetFault('CONNECTION', 'CERT_VERIFY without a certificate');
  if (shown) {
    if (proof === undefined) return packetFault('CERTIFICATE_INVALID', 'no CERT_VERIFY');
    const { scheme, signature } = parseCertVerify(proof);
    if (peer !== undefined && !peer.verify(scheme, signedBy(role, hashOf(finishing)), signature)) {
      return packetFault('CERTIFICATE_INVALID', 'CERT_VERIFY is not by the key of the certificate');
    }
  }
  const verify = blocks.verifyData;
  if (verify === undefined) return packetFault('FINISH_INVALID', 'no VERIFY_DATA');
  if (!suite.equal(verify, verifyData(finishing, proof ?? EMPTY))) {
    return packetFault('FINISH_INVALID', 'VERIFY_DATA does not match');
  }
  return { kind: 'finished', blocks, params: blocks.params && parseParams(blocks.params) };
}

/** H1 for the server, H3 for the client. */
export const hashOf = ({ suite, said }: Finishing): Uint8Array => transcriptHash(suite, ...said);

/** HMAC over H2 or H4: the transcript and the proof of identity. */
const verifyData = ({ suite, said, key }: Finishing, proof: Uint8Array): Uint8Array =>
  suite.hmac(key, transcriptHash(suite, ...said, proof));

/** Section 6.5, as RFC 8446 section 4.4.3: a signature made here can be taken for no other, nor for that of the other role. */
function signedBy(role: 'server' | 'client', hash: Uint8Array): Uint8Array {
  const label = new TextEncoder().encode(`wsd/0, ${role} CertificateVerify`);
  const out = new Uint8Array(64 + label.length + 1 + hash.length);
  out.fill(0x20, 0, 64);
  out.set(label, 64);
  out.set(hash, 64 + label.length + 1);
  return out;
}
