// The bus of one process: packages between dispatches that live in it, for specs and for embedders with one dispatch. Delivered in order,
// never from within `deliver`, as if there were a wire between. One receiver a node: the newer takes the place of the older.
import type { Bus, BusMessage } from '../dispatch/ports.js';

type Receive = (message: BusMessage) => void;

export class MemoryBus implements Bus {
  readonly #receivers = new Map<string, Receive>();
  #closed = false;

  attach(node: string, receive: Receive): () => void {
    if (this.#closed) throw new TypeError('the bus is closed');
    // A function of its own, so that the end of one attachment cannot be taken for another's of the same receiver.
    const receiver: Receive = (message) => receive(message);
    this.#receivers.set(node, receiver);
    return () => {
      if (this.#receivers.get(node) === receiver) this.#receivers.delete(node);
    };
  }

  async deliver(node: string, message: BusMessage): Promise<boolean> {
    await Promise.resolve();
    const receive = this.#receivers.get(node);
    receive?.(message);
    return receive !== undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#receivers.clear();
  }
}

export const memoryBus = (): Bus => new MemoryBus();
