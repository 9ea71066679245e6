// What is asked of a node waits until whoever made the node has it in hand: then handlers that are registered right after the `await` miss nothing.
// Only what answers our own packages passes before that: it is what the making of the node waits for. In order, and only once.
import { parsePayload } from '../package/schema.js';
import { splitToken } from '../package/token.js';
import type { NodeRoad } from './road.js';

type Pass = (text: string) => void;

/** A dispatch that sends more at once does not get an answer to it later. */
const MOST_HELD = 1_024;

export class Gate {
  readonly #after: NodeRoad['after'];
  /** What is being received, while it is. */
  current: string | undefined;
  #opening = false;
  #held: { readonly text: string; readonly pass: Pass }[] | undefined = [];

  constructor(after: NodeRoad['after']) {
    this.#after = after;
  }

  take(text: string, pass: Pass): void {
    const held = this.#held;
    if (held === undefined || held.length >= MOST_HELD || isAnswer(text)) this.#pass(text, pass);
    else held.push({ text, pass });
  }

  /** It is a node now. By the next turn every promise that waited for it has told whoever waited for that. */
  open(): void {
    if (this.#opening) return;
    this.#opening = true;
    this.#after(0, () => {
      const held = this.#held ?? [];
      this.#held = undefined;
      for (const { text, pass } of held) this.#pass(text, pass);
    });
  }

  #pass(text: string, pass: Pass): void {
    this.current = text;
    pass(text);
    this.current = undefined;
  }
}

/** As far as it says: whether it is true is judged behind the gate. What cannot be read does not wait either. */
const isAnswer = (text: string): boolean => {
  const split = splitToken(text);
  if (split.kind !== 'split') return true;
  const parsed = parsePayload(split.payload);
  return parsed.kind !== 'payload' || (parsed.claims as { readonly re?: unknown }).re !== undefined;
};
