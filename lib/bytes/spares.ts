// Large pieces of memory that were used once and can be used again. Fresh memory is the cost of a large message: the system hands it out
// page by page, each with an interrupt, and takes it back only when the collector finds it. Held weakly, so that what nobody needs is
// collected like anything else and no limit has to be kept; only the latest of moderate size is held on to.

/** Smaller ones are cheap to allocate. */
const FROM = 64 * 1024;
const HELD_TO = 2 * 1024 * 1024;
const MOST = 32;

let held: Buffer | undefined;
const spares: WeakRef<Buffer>[] = [];

const fits = (spare: Buffer | undefined, size: number, most: number): spare is Buffer =>
  spare !== undefined && spare.length >= size && spare.length <= most;

/** Memory of at least `size` and at most `most` bytes, with whatever is in it. */
export const takeMemory = (size: number, most: number = size * 2): Buffer => {
  if (size >= FROM / 2) {
    const latest = held;
    if (fits(latest, size, most)) {
      held = undefined;
      return latest;
    }
    for (let i = spares.length - 1; i >= 0; i--) {
      const spare = spares[i]?.deref();
      if (spare !== undefined && !fits(spare, size, most)) continue;
      spares.splice(i, 1);
      if (spare !== undefined) return spare;
    }
  }
  return Buffer.allocUnsafeSlow(size);
};

/** Nobody will look at these bytes again: their memory may be anybody's. */
export const giveMemory = (bytes: Uint8Array): void => {
  const { buffer } = bytes;
  if (buffer.byteLength < FROM || !(buffer instanceof ArrayBuffer)) return;
  const whole = Buffer.from(buffer);
  if (whole.length <= HELD_TO && whole.length > (held?.length ?? 0)) {
    if (held !== undefined) keep(held);
    held = whole;
  } else keep(whole);
};

const keep = (spare: Buffer): void => {
  if (spares.length === MOST) spares.shift();
  spares.push(new WeakRef(spare));
};
