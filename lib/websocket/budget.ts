// What all connections of a server together may have queued for slow readers: one number, so that many readers who each stay below their
// own cap cannot fill the memory between them.

export class Budget {
  readonly limit: number;
  used = 0;

  constructor(limit: number) {
    this.limit = limit;
  }

  /** Whether so many bytes more would be too many. */
  exceeds(bytes: number): boolean {
    return this.used + bytes > this.limit;
  }
}
