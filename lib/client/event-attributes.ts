// The on… attributes of an event target: each is one listener whose function can be exchanged without losing its place among the others.
// HTML living standard, "Event handlers".

export type EventHandler<E extends Event = Event> = ((event: E) => unknown) | null;

export class EventAttributes {
  readonly #target: EventTarget;
  readonly #handlers: Map<string, (event: never) => unknown> = new Map();

  constructor(target: EventTarget) {
    this.#target = target;
  }

  get<E extends Event>(type: string): EventHandler<E> {
    return (this.#handlers.get(type) as EventHandler<E> | undefined) ?? null;
  }

  /** What is no function is null, as the standard has it. */
  set(type: string, handler: unknown): void {
    if (typeof handler !== 'function') {
      if (this.#handlers.delete(type)) this.#target.removeEventListener(type, this.#call);
      return;
    }
    if (!this.#handlers.has(type)) this.#target.addEventListener(type, this.#call);
    this.#handlers.set(type, handler as (event: never) => unknown);
  }

  readonly #call = (event: Event): void => {
    this.#handlers.get(event.type)?.call(this.#target, event as never);
  };
}
