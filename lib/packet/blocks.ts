// The blocks inside FINISHED and CONFIRM: type, length, value, in ascending order, each at most once. Knows the form of every block and
// where it may stand; what a signature or a binder proves is the handshake's business. PROTOCOL.md section 6.5.
import { type PacketFault, packetFault } from './codes.js';
import { copyOf } from './octets.js';

export const BLOCK = {
  certVerify: 1,
  verifyData: 2,
  params: 3,
  resume: 4,
  session: 5,
  resumed: 6,
  proof: 0x80,
} as const;

type BlockName = keyof typeof BLOCK;

/** The three packets that carry blocks. */
export type BlockPlace = 'server FINISHED' | 'client FINISHED' | 'CONFIRM';

/** The values that were there; views of what was parsed. */
export type Blocks = { readonly kind: 'blocks' } & { readonly [name in BlockName]?: Uint8Array };

/** Limits of the one who says them: what the other may send. */
export interface Params {
  readonly maxMessage: number;
  /** Milliseconds. */
  readonly heartbeat: number;
  /** Milliseconds. */
  readonly ackDelay: number;
}

export interface Resume {
  readonly id: Uint8Array;
  readonly binder: Uint8Array;
  readonly state: Uint8Array;
}

export interface Resumed {
  readonly accepted: boolean;
  /** The server's RS; empty when refused. */
  readonly state: Uint8Array;
}

export interface SessionGrant {
  readonly id: Uint8Array;
  /** Seconds. */
  readonly ttl: number;
}

/** SignatureScheme (2) ‖ signature. */
export interface CertVerify {
  readonly scheme: number;
  readonly signature: Uint8Array;
}

export const SESSION_ID_SIZE = 16;
/** RS: next_recv (8) ‖ next_send (8) ‖ window (128), section 5.5. */
export const RESUME_STATE_SIZE = 144;

/** Ascending, as BLOCK is written. */
const NAMES = Object.keys(BLOCK) as BlockName[];

const SIZE: Readonly<Record<BlockName, (size: number) => boolean>> = {
  certVerify: (size) => size >= 2,
  verifyData: (size) => size === 32,
  params: (size) => size === 10,
  resume: (size) => size === SESSION_ID_SIZE + 32 + RESUME_STATE_SIZE,
  session: (size) => size === SESSION_ID_SIZE + 4,
  resumed: (size) => size === 1 || size === 1 + RESUME_STATE_SIZE,
  proof: (size) => size === 32,
};

const PLACES: Readonly<Record<BlockPlace, readonly BlockName[]>> = {
  'server FINISHED': ['certVerify', 'verifyData', 'params'],
  'client FINISHED': ['certVerify', 'verifyData', 'params', 'resume'],
  CONFIRM: ['session', 'resumed', 'proof'],
};

/** Unknown below 0x80 means that the peer expects something of us that we do not know; from 0x80 on it may be passed over. */
const IGNORABLE = 0x80;

export function parseBlocks(data: Uint8Array, place: BlockPlace): Blocks | PacketFault {
  const bad = (what: string): PacketFault => packetFault('CONNECTION', `${place}: ${what}`);
  const found: { -readonly [name in BlockName]?: Uint8Array } = {};
  let last = -1;
  for (let at = 0; at < data.length; ) {
    if (data.length - at < 3) return bad('a block is cut');
    const type = data[at] as number;
    const size = ((data[at + 1] as number) << 8) | (data[at + 2] as number);
    at += 3;
    if (data.length - at < size) return bad(`block ${type} is cut`);
    if (type <= last) return bad(`block ${type} is not in its order`);
    last = type;
    const name = PLACES[place].find((one) => BLOCK[one] === type);
    if (name === undefined && type < IGNORABLE) return bad(`block ${type} does not belong here`);
    if (name !== undefined) {
      if (!SIZE[name](size)) return bad(`block ${type} of ${size} octets`);
      found[name] = data.subarray(at, at + size);
    }
    at += size;
  }
  return { kind: 'blocks', ...found };
}

/** What is given, in the order of the types. */
export function writeBlocks(values: { readonly [name in BlockName]?: Uint8Array | undefined }): Uint8Array {
  const present = NAMES.flatMap((name) => {
    const value = values[name];
    return value === undefined ? [] : [[BLOCK[name], value] as const];
  });
  const out = new Uint8Array(present.reduce((size, [, value]) => size + 3 + value.length, 0));
  let at = 0;
  for (const [type, value] of present) {
    out[at] = type;
    out[at + 1] = value.length >>> 8;
    out[at + 2] = value.length;
    out.set(value, at + 3);
    at += 3 + value.length;
  }
  return out;
}

export function parseCertVerify(value: Uint8Array): CertVerify {
  return { scheme: viewOf(value).getUint16(0), signature: value.subarray(2) };
}

export function writeCertVerify({ scheme, signature }: CertVerify): Uint8Array {
  const out = new Uint8Array(2 + signature.length);
  viewOf(out).setUint16(0, scheme);
  out.set(signature, 2);
  return out;
}

export function parseParams(value: Uint8Array): Params {
  const view = viewOf(value);
  return { maxMessage: view.getUint32(0), heartbeat: view.getUint32(4), ackDelay: view.getUint16(8) };
}

export function writeParams(params: Params): Uint8Array {
  const out = new Uint8Array(10);
  const view = viewOf(out);
  view.setUint32(0, params.maxMessage);
  view.setUint32(4, params.heartbeat);
  view.setUint16(8, params.ackDelay);
  return out;
}

export function parseResume(value: Uint8Array): Resume {
  return { id: value.subarray(0, 16), binder: value.subarray(16, 48), state: value.subarray(48) };
}

export function writeResume({ id, binder, state }: Resume): Uint8Array {
  const out = new Uint8Array(16 + 32 + RESUME_STATE_SIZE);
  out.set(id);
  out.set(binder, 16);
  out.set(state, 48);
  return out;
}

export function parseSession(value: Uint8Array): SessionGrant {
  return { id: copyOf(value.subarray(0, 16)), ttl: viewOf(value).getUint32(16) };
}

export function writeSession({ id, ttl }: SessionGrant): Uint8Array {
  const out = new Uint8Array(20);
  out.set(id);
  viewOf(out).setUint32(16, ttl);
  return out;
}

/** Undefined: a status that is neither accepted with a state nor refused without one. */
export function parseResumed(value: Uint8Array): Resumed | undefined {
  const accepted = value[0] === 1;
  if (!accepted && value[0] !== 0) return undefined;
  if (accepted !== value.length > 1) return undefined;
  return { accepted, state: copyOf(value.subarray(1)) };
}

export function writeResumed({ accepted, state }: Resumed): Uint8Array {
  const out = new Uint8Array(accepted ? 1 + RESUME_STATE_SIZE : 1);
  out[0] = accepted ? 1 : 0;
  if (accepted) out.set(state, 1);
  return out;
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
