// Two peers with a wire of memory between them and a clock that a spec moves: everything runs when the spec says so. Not a spec.
import { VirtualClock } from '../../fixtures/rig/clock.js';
import { seeded } from '../../fixtures/rig/random.js';
import { nodeSuite } from '../../lib/crypto/node.js';
import type { PackageFault } from '../../lib/package/codes.js';
import type { PackageError } from '../../lib/package/errors.js';
import { oneKey } from '../../lib/package/key-ring.js';
import type { Claims, Grant, JsonObject, KeyRecord, Signer } from '../../lib/package/package.js';
import { Peer } from '../../lib/package/peer.js';
import type { PeerSettings } from '../../lib/package/peer-settings.js';
import type { Incoming } from '../../lib/package/peer-types.js';
import { ReplayCache } from '../../lib/package/replay.js';
import { Router } from '../../lib/package/router.js';
import { parsePayload } from '../../lib/package/schema.js';
import { splitToken, writeToken } from '../../lib/package/token.js';
import { portableSigner, portableVerifier } from '../../lib/package/token-portable.js';

export const WALL = 1_700_000_000_000;

const secretOf = (fill: number): Uint8Array => new Uint8Array(32).fill(fill);

export interface Told {
  readonly failed: Error[];
  readonly rejected: (readonly [PackageFault, Claims | undefined])[];
  readonly refused: (readonly [PackageError, string | undefined])[];
  readonly heard: Incoming[];
  readonly identified: KeyRecord[];
  readonly closed: (readonly [number, string])[];
  readonly pressure: boolean[];
}

export interface End {
  readonly peer: Peer<string>;
  readonly router: Router<string>;
  readonly signer: Signer;
  readonly told: Told;
  /** Tokens it sent, in order; those not yet delivered are in `wire` too. */
  readonly sent: string[];
  readonly wire: string[];
}

export interface Ends {
  readonly clock: VirtualClock;
  /** `svc-a`, a service unless told otherwise. */
  readonly a: End;
  /** The dispatch. */
  readonly b: End;
  /** Delivers what was sent, and lets promises run, until nothing moves. */
  readonly run: () => Promise<void>;
  /** Moves the clock, ticking whoever is due. */
  readonly advance: (ms: number) => Promise<void>;
  /** A token of `a`, signed whatever is in it, delivered to `b`. */
  readonly inject: (
    pkg: { header: unknown; body?: unknown; footer?: unknown },
    claims?: Partial<Claims>,
  ) => Promise<void>;
}

export interface EndsOptions {
  readonly grant?: Partial<Grant>;
  readonly a?: Partial<PeerSettings<string>>;
  readonly b?: Partial<PeerSettings<string>>;
  /** The clock of `a` is ahead by so many ms. */
  readonly skew?: number;
}

/** What a token says. */
export const read = (
  token: string,
): { header: JsonObject; body: JsonObject | undefined; footer: JsonObject; claims: JsonObject } => {
  const split = splitToken(token);
  if (split.kind !== 'split') throw new Error(split.detail);
  const parsed = parsePayload(split.payload);
  if (parsed.kind !== 'payload') throw new Error(parsed.detail);
  const { header, body, footer, claims } = parsed;
  return { header: header as JsonObject, body: body as JsonObject | undefined, footer: footer as JsonObject, claims };
};

export const last = <T>(items: readonly T[]): T => {
  const item = items.at(-1);
  if (item === undefined) throw new Error('there is none');
  return item;
};

export const pairOf = ({ grant = {}, a: ofA = {}, b: ofB = {}, skew = 0 }: EndsOptions = {}): Ends => {
  const clock = new VirtualClock(1_000);
  const wall = (): number => WALL + clock.now() - 1_000;
  const chance = seeded(7);
  const endOf = (
    mine: { readonly node: string; readonly fill: number },
    theirs: Grant & { readonly fill: number },
    settings: Partial<PeerSettings<string>>,
  ): End => {
    const told: Told = { failed: [], rejected: [], refused: [], heard: [], identified: [], closed: [], pressure: [] };
    const sent: string[] = [];
    const wire: string[] = [];
    const router = settings.router ?? new Router<string>();
    const signer = portableSigner({
      kid: `${mine.node}.1`,
      secret: secretOf(mine.fill),
      node: mine.node,
      suite: nodeSuite,
    });
    const { fill, ...grantOfTheirs } = theirs;
    const keys = oneKey({
      ...grantOfTheirs,
      kid: `${theirs.node}.1`,
      verifier: portableVerifier(secretOf(fill), nodeSuite),
    });
    const peer: Peer<string> = new Peer<string>(
      {
        router,
        signer,
        keys,
        replay: new ReplayCache(WALL),
        now: clock.now,
        wall,
        random: (size) => chance.bytes(size),
        data: mine.node,
        ...settings,
      },
      {
        transmit: (token) => {
          sent.push(token);
          wire.push(token);
        },
        close: (code, reason) => told.closed.push([code, reason]),
        moved: () => {},
        pressure: (on) => told.pressure.push(on),
        failed: (error) => told.failed.push(error),
        identified: (record) => told.identified.push(record),
        heard: (incoming) => told.heard.push(incoming),
        rejected: (fault, claims) => told.rejected.push([fault, claims]),
        refused: (error, re) => told.refused.push([error, re]),
      },
    );
    return { peer, router, signer, told, sent, wire };
  };
  const a = endOf(
    { node: 'svc-a', fill: 1 },
    { node: 'dispatch', role: 'dispatch', fill: 2 },
    skew === 0 ? ofA : { wall: () => wall() + skew, replay: new ReplayCache(WALL + skew), ...ofA },
  );
  const b = endOf({ node: 'dispatch', fill: 2 }, { node: 'svc-a', role: 'service', fill: 1, ...grant }, ofB);
  let count = 0;
  const run = async (): Promise<void> => {
    for (let idle = 0; idle < 8; idle++) {
      for (let token = a.wire.shift(); token !== undefined; token = a.wire.shift()) {
        idle = 0;
        b.peer.receive(token, clock.now());
      }
      for (let token = b.wire.shift(); token !== undefined; token = b.wire.shift()) {
        idle = 0;
        a.peer.receive(token, clock.now());
      }
      await Promise.resolve();
    }
  };
  return {
    clock,
    a,
    b,
    run,
    advance: async (ms) => {
      const until = clock.now() + ms;
      for (;;) {
        const due = Math.min(a.peer.deadline(), b.peer.deadline());
        if (due > until) break;
        clock.advance(Math.max(0, due - clock.now()));
        a.peer.tick(clock.now());
        b.peer.tick(clock.now());
        await run();
      }
      clock.advance(until - clock.now());
    },
    inject: async (pkg, claims = {}) => {
      const iat = Math.floor(wall() / 1000);
      const all = { iat, exp: iat + 60, jti: `injected-${++count}`, ...claims };
      b.peer.receive(writeToken(a.signer, pkg as never, all), clock.now());
      await run();
    },
  };
};
