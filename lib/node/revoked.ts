// Why a document is no longer ours to write: the reason of its signal, and what a save that came too late rejects with. PROTOCOL.md section 9.1.

/**
 * asked: another node waits for it. fenced: the dispatch was not reached for a lease, so it may have given it away. stale: it has done so.
 * released, closed: we let it go ourselves.
 */
export type RevokedWhy = 'asked' | 'fenced' | 'stale' | 'released' | 'closed';

const PHRASES: Readonly<Record<RevokedWhy, string>> = {
  asked: 'another node has asked for it',
  fenced: 'the dispatch was not reached for a whole lease',
  stale: 'it has another owner',
  released: 'it was released',
  closed: 'the node was closed',
};

export class Revoked extends Error {
  override readonly name = 'Revoked';
  readonly why: RevokedWhy;
  /** Undefined: the shared document. */
  readonly user: string | undefined;
  /** Who comes next, where that was told. */
  readonly to: string | undefined;

  constructor(why: RevokedWhy, user: string | undefined, to?: string) {
    super(`the document of ${user ?? 'all'} must not be written any more: ${PHRASES[why]}`);
    this.why = why;
    this.user = user;
    this.to = to;
  }
}
