// A last state that was not handed over: what is told of each, with the state, since nobody else may have it. PROTOCOL.md section 9.1.
import type { JsonObject } from '../package/package.js';

export class Unsaved extends Error {
  override readonly name = 'Unsaved';
  /** Undefined: the shared document. */
  readonly user: string | undefined;
  readonly epoch: number;
  /** What may be nowhere else. */
  readonly data: JsonObject;

  constructor(user: string | undefined, epoch: number, data: JsonObject, cause: unknown) {
    super(`the last state of the document of ${user ?? 'all'} may not be stored`, { cause });
    this.user = user;
    this.epoch = epoch;
    this.data = data;
  }
}
