// The options of a page's session: types, defaults, checks. Checked by hand, since a page should not load a library for it; the numbers are
// those of lib/packet/PROTOCOL.md section 10, and the names those of `connect(url, { packets })`.
import { createPinJudge, type Pin } from '../crypto/pins.js';
import { portableSuite } from '../crypto/portable.js';
import { prologueOf, refuseInClear, refuseTrustless } from '../link/protocol.js';
import { RECONNECT, type Reconnect } from '../packet/reconnect.js';
import { SESSION_LIMITS, type SessionSettings } from '../packet/settings.js';
import { wall } from './page.js';

export interface PageSessionOptions {
  /** required: handshake, then every packet sealed. none: clear packets; both ends must say so. Default required. */
  readonly mode?: 'required' | 'none' | undefined;
  /** The certificates that are trusted: their SHA-256 and their P-256 key, as `wsd keygen` shows them. */
  readonly pins?: readonly Pin[] | undefined;
  /** Accept any server: open to whoever stands in between, except over wss. Default false. */
  readonly anonymous?: boolean | undefined;
  /** Octets that both ends must agree on, besides the subprotocol: part of every key. */
  readonly context?: string | Uint8Array | undefined;
  /** Waits between attempts, with jitter; false: never. */
  readonly reconnect?: false | Partial<Reconnect> | undefined;
  /** Largest message in octets, inflated. */
  readonly maxMessage?: number | undefined;
  /** ms: a PING after this much silence, and how long it may stay unanswered. */
  readonly heartbeat?: number | undefined;
  readonly heartbeatTimeout?: number | undefined;
  /** ms: time for the handshake of the session. */
  readonly handshakeTimeout?: number | undefined;
  /** Most RELIABLE messages without an acknowledgement, and their octets. */
  readonly maxUnacked?: number | undefined;
  readonly maxUnackedBytes?: number | undefined;
  /** ms: time for a WebSocket to open; 0: as long as the platform likes. Default 30,000. */
  readonly timeout?: number | undefined;
  /** Calls the first opening off; has no effect on a session that is open. */
  readonly signal?: AbortSignal | undefined;
}

export interface PageSettings {
  readonly settings: SessionSettings;
  readonly reconnect: Reconnect | undefined;
  readonly timeout: number;
}

const MOST = 2 ** 31 - 1;

/** Least, most, default. */
const NUMBERS = {
  maxMessage: [1, MOST, SESSION_LIMITS.maxMessage],
  heartbeat: [1, MOST, SESSION_LIMITS.heartbeat],
  heartbeatTimeout: [1, MOST, SESSION_LIMITS.heartbeatTimeout],
  handshakeTimeout: [1, MOST, SESSION_LIMITS.handshakeTimeout],
  maxUnacked: [1, 1024, SESSION_LIMITS.maxUnacked],
  maxUnackedBytes: [1, MOST, SESSION_LIMITS.maxUnackedBytes],
  timeout: [0, MOST, 30_000],
} as const;
const WAITS = { min: [1, MOST, RECONNECT.min], max: [1, MOST, RECONNECT.max] } as const;

type Range = readonly [least: number, most: number, usual: number];

const OTHERS: readonly string[] = ['mode', 'pins', 'anonymous', 'context', 'reconnect', 'signal'];

/** Throws a TypeError that names what is wrong. */
export const resolve = (options: PageSessionOptions, protocol: string): PageSettings => {
  refuseUnknown(options, [...Object.keys(NUMBERS), ...OTHERS], 'session');
  const { mode = 'required', pins = [], anonymous = false, context, signal } = options;
  if (mode !== 'required' && mode !== 'none') refuse('mode', "must be 'required' or 'none'");
  if (!Array.isArray(pins)) refuse('pins', 'must be a list of {sha256, publicKey}');
  for (const pin of pins) if (!isPin(pin)) refuse('pins', 'a page needs both of {sha256, publicKey}');
  if (typeof anonymous !== 'boolean') refuse('anonymous', 'must be true or false');
  if (context !== undefined && typeof context !== 'string' && !(context instanceof Uint8Array))
    refuse('context', 'must be a string or a Uint8Array');
  if (signal !== undefined && !(signal instanceof AbortSignal)) refuse('signal', 'must be an AbortSignal');
  refuseInClear(mode, { ...options });
  if (mode === 'required' && pins.length === 0 && !anonymous) refuseTrustless();
  const { timeout, ...limits } = numbersOf(options, NUMBERS);
  const trust = pins.length > 0 ? { judge: createPinJudge(portableSuite, pins) } : anonymous ? { anonymous } : {};
  const settings = {
    ...SESSION_LIMITS,
    ...limits,
    suite: portableSuite,
    mode,
    prologue: prologueOf(context, protocol),
    wall,
  };
  return { settings: { ...settings, ...trust }, reconnect: reconnectOf(options.reconnect), timeout };
};

const reconnectOf = (given: PageSessionOptions['reconnect']): Reconnect | undefined => {
  if (given === false) return undefined;
  if (given === undefined) return RECONNECT;
  if (typeof given !== 'object' || given === null) return refuse('reconnect', 'must be false or {min, max, attempts}');
  refuseUnknown(given, [...Object.keys(WAITS), 'attempts'], 'reconnect');
  const { attempts = RECONNECT.attempts } = given;
  if (!(attempts === Number.POSITIVE_INFINITY || (Number.isInteger(attempts) && attempts >= 1)))
    refuse('reconnect.attempts', 'must be a whole number from 1 on, or Infinity');
  return { ...numbersOf(given, WAITS, 'reconnect.'), attempts };
};

const numbersOf = <Ranges extends Readonly<Record<string, Range>>>(
  given: { readonly [Name in keyof Ranges]?: number | undefined },
  ranges: Ranges,
  before = '',
): Record<keyof Ranges, number> => {
  const numbers = {} as Record<keyof Ranges, number>;
  for (const name of Object.keys(ranges) as (keyof Ranges & string)[]) {
    const [least, most, usual] = ranges[name] as Range;
    const value: number = given[name] ?? usual;
    if (!Number.isInteger(value) || value < least || value > most)
      refuse(`${before}${name}`, `must be a whole number from ${least} to ${most}`);
    numbers[name] = value;
  }
  return numbers;
};

const isPin = (pin: Partial<Pin> | null): boolean =>
  typeof pin === 'object' &&
  pin !== null &&
  typeof pin.sha256 === 'string' &&
  (typeof pin.publicKey === 'string' || pin.publicKey instanceof Uint8Array);

/** A name that is not known is usually one that is misspelt. */
const refuseUnknown = (given: object, known: readonly string[], what: string): void => {
  for (const name of Object.keys(given)) if (!known.includes(name)) refuse(name, `is no option of a ${what}`);
};

const refuse = (name: string, why: string): never => {
  throw new TypeError(`connectSession: ${name}: ${why}`);
};
