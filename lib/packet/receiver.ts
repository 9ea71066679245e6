// What a conversation needs of its receiving half, whichever profile it is: types only. The stream's is inbound.ts, the other datagram-inbound.ts.
import type { PacketFault } from './codes.js';
import type { Packet } from './packet.js';
import type { Protector } from './protect.js';
import type { ResumeState } from './resume-state.js';
import type { NumberWindow } from './window.js';

export type Deliver = (data: Uint8Array, reliable: boolean, number: number, owned: boolean) => void;

export interface Receiver {
  /** The RELIABLE numbers that were accepted; its `next` is one above the newest number seen. */
  readonly accepted: NumberWindow;
  /** Of the last packet that was taken; undefined: it was dropped. */
  readonly packet: Packet | undefined;
  readonly number: number;
  /** Its Data, decoded; undefined: a fragment of a message that is not complete yet. */
  readonly data: Uint8Array | undefined;
  /** It is an ERROR that its sender numbered in the handshake of a resume, not knowing that the session goes on. */
  readonly early: boolean;
  /** The peer has used the keys of this connection as those of the session. */
  readonly isProven: boolean;
  /** A RELIABLE number that the last packet repeated, and whose ACK is due at once; -1: none. */
  readonly repeated: number;
  /** A connection is there. `protector`: its keys. */
  connect(protector: Protector | undefined, now: number): void;
  disconnect(): void;
  /** Section 5.5 (2). `early`: the number after the peer's handshake, if it cannot know yet that the session goes on; else -1. */
  resume(state: ResumeState, early: number): void;
  /** One packet. A fault ends the session. */
  take(bytes: Uint8Array, now: number): PacketFault | undefined;
  /** Lets go of the packet that was taken last. */
  forget(): void;
  /** The message that was taken last goes to its place. */
  deliver(packet: Packet, number: number, data: Uint8Array): void;
  deadline(): number;
  tick(now: number): PacketFault | undefined;
  /** The session is over: what is complete is delivered. */
  flush(): void;
}
