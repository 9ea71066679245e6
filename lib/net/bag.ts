// A set whose members know their place in it: adding and removing cost no memory and no hash. A Set under churn leaves tables behind that
// still refer to what was removed, each to the next, so that what has long gone survives one collection after the other: with short
// connections that was a fifth of all work. Without order.

export interface Placed {
  /** Where it is; the bag's own. -1: nowhere. */
  place: number;
}

export class Bag<Member extends Placed> implements Iterable<Member> {
  readonly #members: Member[] = [];

  get size(): number {
    return this.#members.length;
  }

  has(member: Member): boolean {
    return this.#members[member.place] === member;
  }

  add(member: Member): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  delete(member: Member): void {
    if (!this.has(member)) return;
    const last = this.#members.pop() as Member;
    if (last !== member) {
      this.#members[member.place] = last;
      last.place = member.place;
    }
    member.place = -1;
  }

  /** Those who are in it now, whatever is added or removed meanwhile. */
  [Symbol.iterator](): ArrayIterator<Member> {
    return [...this.#members].values();
  }

  /** The members themselves: to be read at once, and not while any may leave. */
  get members(): readonly Member[] {
    return this.#members;
  }
}
