// Handlers of one peer: at most so many at work at a time, the others wait in line. What is synchronous ends before the next one begins, so it
// keeps its order. Knows no packages. PROTOCOL.md section 8.4.

/** Begins the work; undefined: it is done already. */
export type Work = () => PromiseLike<void> | undefined;

interface Waiting {
  readonly work: Work;
  readonly size: number;
}

export interface LineLimits {
  readonly concurrent: number;
  readonly waiting: number;
  /** Octets, or whatever `size` counts, that wait. */
  readonly size: number;
}

export class Line {
  readonly #limits: LineLimits;
  readonly #changed: () => void;
  #running = 0;
  #size = 0;
  #head = 0;
  #waiting: (Waiting | undefined)[] = [];
  #draining = false;

  /** `changed`: `busy` may have. */
  constructor(limits: LineLimits, changed: () => void) {
    this.#limits = limits;
    this.#changed = changed;
  }

  /** What comes now would have to wait. */
  get busy(): boolean {
    return this.#running >= this.#limits.concurrent;
  }

  /** In line, not at work. */
  get length(): number {
    return this.#waiting.length - this.#head;
  }

  /** False: the line is full. */
  enter(work: Work, size: number): boolean {
    if (!this.busy && this.length === 0) {
      this.#begin(work);
      return true;
    }
    const { waiting, size: most } = this.#limits;
    if (this.length >= waiting || this.#size + size > most) return false;
    this.#waiting.push({ work, size });
    this.#size += size;
    return true;
  }

  /** Nobody that waits will ever begin. */
  clear(): void {
    this.#waiting = [];
    this.#head = 0;
    this.#size = 0;
  }

  #begin(work: Work): void {
    const later = work();
    if (later === undefined) return;
    this.#running++;
    this.#changed();
    const ended = (): void => {
      this.#running--;
      this.#drain();
      this.#changed();
    };
    later.then(ended, ended);
  }

  #drain(): void {
    // Work that is done at once may come back here through something it settles.
    if (this.#draining) return;
    this.#draining = true;
    while (!this.busy && this.length > 0) {
      const next = this.#waiting[this.#head] as Waiting;
      this.#waiting[this.#head++] = undefined;
      this.#size -= next.size;
      if (this.#head === this.#waiting.length) this.clear();
      this.#begin(next.work);
    }
    this.#draining = false;
  }
}
