// What a node tells: its connection coming and going, what failed here, what the dispatch refused. A listener that throws ends nothing.
import type { LinkEnd } from '../link/package-carriers.js';
import type { PackageFault } from '../package/codes.js';
import type { PackageError } from '../package/errors.js';
import type { Claims } from '../package/package.js';
import { Emitter } from '../websocket/emitter.js';
import type { Document } from './document.js';
import type { WayEnd } from './uplink.js';

/** How a node ended. */
export interface NodeEnd extends WayEnd {
  /** Last states of documents that may not be stored: an Unsaved was told of each. */
  readonly unsaved: number;
}

export interface NodeEvents {
  /** The dispatch answers: at first, or again. */
  open: [];
  /** The connection is gone. Documents stay for what is left of their lease; calls that were under way are rejected. */
  lost: [why: { readonly code: LinkEnd['code'] | undefined; readonly reason: string }];
  /** It is dialled again, after so many ms. */
  retry: [retry: { readonly attempt: number; readonly wait: number; readonly cause: Error }];
  /** Somebody else has made us the owner of a document. When nobody listens it goes back at once. */
  assigned: [document: Document];
  /** Our fault: a handler, a flush or a listener failed, an answer was not what its scope says. An Unsaved: a last state may be lost. */
  error: [error: Error];
  /** An ERROR about a package of ours that nobody waits for, and that package's jti. */
  refused: [error: PackageError, re: string | undefined];
  /** What came was not valid: for a log. */
  rejected: [fault: PackageFault, claims: Claims | undefined];
  /** For good, and last. */
  close: [end: NodeEnd];
}

export class NodeBell extends Emitter<NodeEvents> {
  tell<Name extends keyof NodeEvents>(name: Name, ...args: NodeEvents[Name]): void {
    const failed = (reason: unknown): void => {
      if (name !== 'error') this.tell('error', reason instanceof Error ? reason : new Error('a listener failed'));
    };
    try {
      this.dispatch(name, args, (value) => {
        if (value instanceof Promise) value.catch(failed);
      });
    } catch (reason) {
      failed(reason);
    }
  }
}
