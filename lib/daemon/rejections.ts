// Tokens that are not believed → lines of a log: that a node has the wrong key, or a wrong clock, is for the operator to see. One line of a node and
// a code in ten seconds, with how many there were since the last: whoever is refused without end fills no disk.
import type { Connection, Dispatch, Session } from '../index.js';
import type { PackageFault } from '../package/codes.js';
import type { DaemonLog } from './telling.js';

/** Those of a forger, of a clock, of a thief. The others are between a node and its programmer. */
const SUSPECT: readonly string[] = ['bad_token', 'token_expired', 'replayed'];
const PAUSE = 10_000;

interface Told {
  readonly at: number;
  more: number;
}

export class Rejections {
  readonly #log: DaemonLog;
  readonly #now: () => number;
  readonly #told = new Map<string, Told>();

  /** `now`: ms of a clock that only goes forward. */
  constructor(log: DaemonLog, now: () => number) {
    this.#log = log;
    this.#now = now;
  }

  /** `node`: undefined, if nobody knows who that was. */
  tell({ code, detail }: PackageFault, node: string | undefined, remote: string | undefined): void {
    const now = this.#now();
    const key = `${code} ${node ?? ''}`;
    const told = this.#told.get(key);
    if (told !== undefined && now - told.at < PAUSE) {
      told.more++;
      return;
    }
    this.#forget(now);
    this.#told.set(key, { at: now, more: 0 });
    const more = told === undefined || told.more === 0 ? '' : `, and ${told.more} more before`;
    const who = node ?? 'somebody';
    const text = `refused ${who}${remote ? ` at ${remote}` : ''}: ${code}${detail === undefined ? '' : ` (${detail})`}${more}`;
    const level = SUSPECT.includes(code) ? 'warn' : 'debug';
    this.#log.write(level, 'reject', text, { node, remote, code, detail, more: told?.more });
  }

  #forget(now: number): void {
    for (const [key, { at, more }] of this.#told) if (more === 0 && now - at >= PAUSE) this.#told.delete(key);
  }
}

/** What its servers are to be given instead. */
export const tellRejections = ({ packages }: Dispatch, rejections: Rejections): Dispatch['packages'] => {
  const { events } = packages;
  return {
    ...packages,
    events: {
      ...events,
      rejected: (link, fault, claims) => {
        const { carrier } = link as { readonly carrier?: Pick<Connection | Session, 'remoteAddress'> };
        rejections.tell(fault, link.peer.record?.node ?? claims?.iss, carrier?.remoteAddress);
        events.rejected?.(link, fault, claims);
      },
    },
  };
};
