// What a node needs of the world, as types: how to reach the dispatch, clocks, chance and timers. Node has one, a page another.
import type { PackageCarrier } from '../link/package-carriers.js';
import type { PackageLinkSettings } from '../link/package-settings.js';
import type { KeySource, Signer } from '../package/package.js';

/** A connection or a session that is open and speaks packages. */
export interface NodeWay {
  readonly carrier: PackageCarrier;
  readonly signer: Signer | (() => Signer);
  /** By what the dispatch is known. */
  readonly keys: KeySource;
}

export interface NodeRoad extends Pick<PackageLinkSettings<unknown>, 'now' | 'wall' | 'random' | 'pace'> {
  /** `signal`: nobody waits for it any more. Rejects with an Error that says why there is no way. */
  dial(signal: AbortSignal): Promise<NodeWay>;
  /** Calls back once; the returned function calls it off. */
  after(ms: number, call: () => void): () => void;
  /** In [0, 1): for jitter. */
  chance(): number;
  /** At once, without a farewell where that is possible: nobody is there. */
  leave(carrier: PackageCarrier): void;
}
