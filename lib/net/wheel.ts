// One timer for all connections: each waits in the slot of its deadline and is asked again when the slot comes up, so a deadline that
// moved later costs nothing, and an idle connection owns no timer. Deadlines are met up to one slot late, never early.
import { Bag } from './bag.js';
import { now } from './clock.js';

export interface Timed {
  /** When it wants to be asked; Infinity: not by itself. */
  deadline(): number;
  tick(now: number): void;
  /** Where it waits, and where there; the wheel's own. */
  slot: number;
  place: number;
}

/** Fine enough for an acknowledgement that is due after 25 ms, and a turn long enough that most deadlines are asked once. */
const SLOT_MS = 8;
const SLOTS = 8192;

const slots: (Bag<Timed> | undefined)[] = new Array(SLOTS).fill(undefined);
let count = 0;
let handled = Math.floor(now() / SLOT_MS);
let timer: NodeJS.Timeout | undefined;
let timerSlot = Infinity;

/** To be called whenever a deadline may have come nearer. */
export const arm = (timed: Timed): void => {
  const due = timed.deadline();
  if (due === Infinity) return;
  if (count === 0) handled = Math.floor(now() / SLOT_MS);
  // Beyond the wheel's turn it waits in the last slot and is put further from there.
  const slot = Math.min(Math.max(Math.ceil(due / SLOT_MS), handled + 1), handled + SLOTS - 1);
  if (timed.slot !== 0 && timed.slot <= slot) return;
  disarm(timed);
  const at = slot % SLOTS;
  const bag = slots[at] ?? new Bag();
  slots[at] = bag;
  bag.add(timed);
  timed.slot = slot;
  count++;
  if (slot < timerSlot) setTimer(slot);
};

export const disarm = (timed: Timed): void => {
  if (timed.slot === 0) return;
  slots[timed.slot % SLOTS]?.delete(timed);
  count--;
  timed.slot = 0;
};

const setTimer = (slot: number): void => {
  clearTimeout(timer);
  timerSlot = slot;
  // After the timers' turn comes the reading of sockets, then this: a process that was stopped for a while hears what its peers said
  // meanwhile before it judges them silent.
  timer = setTimeout(() => setImmediate(turn), Math.max(1, slot * SLOT_MS - now()));
  timer.unref();
};

const turn = (): void => {
  timer = undefined;
  timerSlot = Infinity;
  const time = now();
  const current = Math.floor(time / SLOT_MS);
  const last = Math.min(current, handled + SLOTS - 1);
  while (handled < last) {
    handled++;
    const due = slots[handled % SLOTS]?.members;
    if (due === undefined || due.length === 0) continue;
    slots[handled % SLOTS] = undefined;
    count -= due.length;
    for (const timed of due) timed.slot = 0;
    for (const timed of due) {
      if (timed.deadline() <= time) timed.tick(time);
      if (timed.slot === 0) arm(timed);
    }
  }
  handled = Math.max(handled, last);
  // A tick may have armed the timer for itself already, and later than somebody else waits.
  for (let slot = handled + 1; count > 0 && slot < Math.min(timerSlot, handled + SLOTS); slot++) {
    if ((slots[slot % SLOTS]?.size ?? 0) > 0) return setTimer(slot);
  }
};
