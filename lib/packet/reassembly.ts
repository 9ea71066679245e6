// Fragments of messages that are not complete, by packet number: what fits a group, how much of it there may be, and when it has waited
// too long. Octets are copied, so memory follows what was received and not what a header promises. Whether a misfit fails the session or is
// dropped is the profile's to say. Knows no key and no order. PROTOCOL.md section 3.5, section 7 steps 6 and 7.
import type { Packet } from './packet.js';
import { MAX_DATA } from './wire.js';

export interface ReassemblyLimits {
  readonly maxReassemblies: number;
  readonly maxReassemblyBytes: number;
  readonly reassemblyTimeout: number;
}

/** The fields in which the fragments of a message must agree, besides its number. */
export interface GroupHead {
  readonly type: number;
  readonly flags: number;
  readonly fragmentCount: number;
  readonly checksum: number;
}

interface Group extends GroupHead {
  readonly parts: (Uint8Array | undefined)[];
  missing: number;
  bytes: number;
  progress: number;
}

export class Reassembly {
  readonly #limits: ReassemblyLimits;
  readonly #groups = new Map<number, Group>();
  #bytes = 0;

  constructor(limits: ReassemblyLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#groups.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(number: number): boolean {
    return this.#groups.has(number);
  }

  /** Step 6: undefined, or why a fragment with this head has no place. `size`: octets of its Data. */
  check(number: number, head: GroupHead, size: number): 'many' | 'large' | 'differs' | undefined {
    const group = this.#groups.get(number);
    if (group === undefined) {
      if (this.#groups.size >= this.#limits.maxReassemblies) return 'many';
    } else if (
      group.type !== head.type ||
      group.flags !== head.flags ||
      group.fragmentCount !== head.fragmentCount ||
      group.checksum !== head.checksum
    ) {
      return 'differs';
    }
    return this.#bytes + size > this.#limits.maxReassemblyBytes ? 'large' : undefined;
  }

  /** Step 7: whether that place is taken, and by the same octets. */
  repeats(number: number, fragmentId: number, data: Uint8Array): 'no' | 'same' | 'other' {
    const part = this.#groups.get(number)?.parts[fragmentId];
    if (part === undefined) return 'no';
    if (part.length !== data.length) return 'other';
    for (let i = 0; i < part.length; i += 1) if (part[i] !== data[i]) return 'other';
    return 'same';
  }

  /** A fragment that was checked and is no repetition. All Data when it was the last one missing; the group is closed then. */
  add(number: number, packet: Packet, now: number): Uint8Array | undefined {
    const { type, flags, fragmentCount, checksum, data } = packet;
    let group = this.#groups.get(number);
    if (group === undefined) {
      group = {
        type,
        flags,
        fragmentCount,
        checksum,
        parts: new Array<Uint8Array | undefined>(fragmentCount),
        missing: fragmentCount,
        bytes: 0,
        progress: now,
      };
      this.#groups.set(number, group);
    }
    group.parts[packet.fragmentId] = new Uint8Array(data);
    group.missing -= 1;
    group.bytes += data.length;
    group.progress = now;
    this.#bytes += data.length;
    if (group.missing > 0) return undefined;
    this.drop(number);
    return join(group);
  }

  drop(number: number): void {
    const group = this.#groups.get(number);
    if (group === undefined) return;
    this.#groups.delete(number);
    this.#bytes -= group.bytes;
  }

  clear(): void {
    this.#groups.clear();
    this.#bytes = 0;
  }

  /** The number of the group that made no progress for the longest time. */
  stalest(): number | undefined {
    let stalest: number | undefined;
    let since = Number.POSITIVE_INFINITY;
    for (const [number, { progress }] of this.#groups) {
      if (progress >= since) continue;
      since = progress;
      stalest = number;
    }
    return stalest;
  }

  /** When the next group has waited too long; Infinity: none waits. */
  deadline(): number {
    let progress = Number.POSITIVE_INFINITY;
    if (this.#groups.size > 0) for (const group of this.#groups.values()) progress = Math.min(progress, group.progress);
    return progress + this.#limits.reassemblyTimeout;
  }

  /** The numbers of open groups with these flags; 0: of all. */
  numbers(wanted: number): number[] {
    const numbers: number[] = [];
    for (const [number, { flags }] of this.#groups) if ((flags & wanted) === wanted) numbers.push(number);
    return numbers;
  }
}

const join = (group: Group): Uint8Array => {
  const whole = new Uint8Array(group.bytes);
  for (let id = 0; id < group.fragmentCount; id += 1) whole.set(group.parts[id] as Uint8Array, id * MAX_DATA);
  return whole;
};
