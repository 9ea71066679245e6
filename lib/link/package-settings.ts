// What packages on a connection or session are given, and whom they tell, as types: needs nothing of Node, for a page has them too. What it is
// given to is packages.ts.
import type { PeerSettings, PeerSink } from '../package/peer-settings.js';
import type { LinkEnd } from './package-carriers.js';

/** What waits for deadlines: a Pacer of lib/net, or a page's timer. */
export interface Pace {
  /** A deadline may have come nearer. */
  moved(): void;
  stop(): void;
}

export interface PackageEvents extends Pick<PeerSink, 'identified' | 'heard' | 'rejected' | 'refused'> {
  /** Our fault: a handler, or one of these listeners, failed. */
  failed?: PeerSink['failed'];
  /** Once, and last. */
  ended?: (end: LinkEnd) => void;
}

export interface PackageLinkSettings<Data> extends PeerSettings<Data> {
  pace(paced: { deadline(): number; tick(now: number): void }): Pace;
  readonly events?: PackageEvents | undefined;
  /** Where texts go first: it passes them on in their order, at once or later. */
  gate?(text: string, pass: (text: string) => void): void;
}
