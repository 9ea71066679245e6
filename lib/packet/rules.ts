// Which flags may stand beside which type, and when: PROTOCOL.md section 2.3 as one function of two numbers and the state of a
// session. Looks at the first two octets of a packet only and allocates nothing. Steps 3, 4 and the mode check of 9 in section 7.
import { FLAG, TYPE } from './wire.js';

/** How far the session is, as far as flags care. */
export interface Phase {
  /** The security mode is `required`. */
  readonly secured: boolean;
  /** Keys were agreed on: the first sealed packet may come. */
  readonly keys: boolean;
  /** The handshake is over; a session without security is open from the start. */
  readonly open: boolean;
  /** Whether an ACK may be the client's FINISHED, the only one with RELIABLE. A client says false; left out: until open. */
  readonly finished?: boolean;
}

const { reliable, checksum, compressed, encrypted, frag } = FLAG;

/** By type; a bit outside is never allowed, the reserved three among them. */
const ALLOWED: readonly number[] = [
  reliable | checksum | compressed | encrypted | frag,
  reliable | checksum | encrypted,
  reliable | checksum,
  checksum | encrypted,
  reliable | checksum | encrypted,
];

/** PROTOCOL.md section 7 step 3: reserved types, and AUTH once a secured session is open. */
export const mayCome = (type: number, phase: Phase): boolean =>
  type <= TYPE.error && !(type === TYPE.auth && phase.secured && phase.open);

/** PROTOCOL.md sections 2.3 and 7 step 4, for a type that may come. */
export const mayCarry = (type: number, flags: number, phase: Phase): boolean => {
  if ((flags & ~(ALLOWED[type] ?? 0)) !== 0) return false;
  if (type === TYPE.auth) return (flags & reliable) !== 0;
  const keys = phase.secured && phase.keys;
  if (type === TYPE.ack && (flags & reliable) !== 0 && !(keys && (phase.finished ?? !phase.open))) return false;
  if ((flags & encrypted) !== 0) return keys;
  // Section 7: before the end of the handshake an ERROR may still come in clear, as a hint.
  return !keys || (type === TYPE.error && !phase.open);
};

/** PROTOCOL.md section 1, section 7 step 9: the two ends must be of one mode, and a secured session begins with AUTH. */
export const suitsMode = (type: number, phase: Phase): boolean => {
  if (!phase.secured) return type !== TYPE.auth;
  return phase.keys || type === TYPE.auth || type === TYPE.error;
};
