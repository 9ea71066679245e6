// Mutated and random bytes at everything that reads what a peer may send. Not a spec: main.ts runs it long, short.spec.ts short.
// What must hold for any input: an event, an answer or a close, never a throw; the same whole as cut; memory within the limits; at most
// one failure; nothing told and nothing written after the end.
import { type Random, seeded } from '../../fixtures/rig/random.js';
import { upgradeRequest } from '../../fixtures/rig/wire.js';
import { agreeOffer, judgeAnswer } from '../../lib/deflate/parameters.js';
import { parseClose } from '../../lib/frame/close.js';
import { parseHeader } from '../../lib/frame/header.js';
import { parseExtensions, writeExtension } from '../../lib/http/extensions.js';
import { HeadParser } from '../../lib/http/head.js';
import { parseHost } from '../../lib/http/host.js';
import { parseTarget } from '../../lib/http/target.js';
import { parseTokenList } from '../../lib/http/tokens.js';
import { parseWsUri } from '../../lib/http/uri.js';
import { ProxyParser } from '../../lib/server/proxy-protocol.js';
import { judgeRequest } from '../../lib/websocket/opening-server.js';
import { agreement, Puppet, SETTINGS } from '../websocket/pair.js';
import { Recorder, readTranscripts, type Transcript } from '../websocket/transcript.js';

export interface FuzzReport {
  readonly rounds: number;
  /** By target, how many inputs it got. */
  readonly counts: Readonly<Record<string, number>>;
  /** What did not hold: the target, the seed of its round, and the input. */
  readonly failures: readonly string[];
}

const transcripts = readTranscripts().filter(({ input }) => input.length < 3000);
const LIMITS = { ...SETTINGS, maxMessage: 4096, maxFragments: 50 };
/** A message at its limit, a control frame and a header that are not whole yet. */
const MOST_HELD = 4096 + 125 + 14;

// ---- mutation

const INTERESTING = [
  0, 1, 0x7d, 0x7e, 0x7f, 0x80, 0x81, 0x88, 0x89, 0xc1, 0xfd, 0xfe, 0xff, 0x0d, 0x0a, 0x20, 0x22, 0x25, 0x2c, 0x3b,
];

const mutate = (bytes: Uint8Array, rng: Random, other: () => Uint8Array): Uint8Array => {
  let out = Array.from(bytes);
  for (let times = 1 + rng.int(6); times > 0; times--) {
    const at = rng.int(out.length + 1);
    const how = rng.int(8);
    if (how === 0) out[at] = (out[at] ?? 0) ^ (1 << rng.int(8));
    else if (how === 1) out[at] = rng.pick(INTERESTING);
    else if (how === 2) out.splice(at, 1 + rng.int(4));
    else if (how === 3) out.splice(at, 0, ...rng.bytes(1 + rng.int(4)));
    else if (how === 4) out.splice(at, 0, ...out.slice(at, at + 1 + rng.int(20)));
    else if (how === 5) out = out.slice(0, at);
    else if (how === 6) out = [...out.slice(0, at), ...other()];
    else out.splice(at, 0, ...Array<number>(1 + rng.int(200)).fill(rng.pick(INTERESTING)));
    if (out.length > 8000) out = out.slice(0, 8000);
  }
  return Uint8Array.from(out);
};

const cut = (bytes: Uint8Array, rng: Random): Uint8Array[] => {
  const chunks: Uint8Array[] = [];
  const longest = rng.pick([1, 3, 40, 4000]);
  for (let at = 0; at < bytes.length; ) {
    const size = 1 + rng.int(longest);
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return chunks;
};

// ---- targets: each throws when something does not hold

const need = (holds: boolean, what: string): void => {
  if (!holds) throw new Error(what);
};

const machineInput = (rng: Random): Uint8Array => {
  if (rng.int(10) === 0) return rng.bytes(rng.int(400));
  const pick = (): Uint8Array => rng.pick(transcripts).input;
  return mutate(rng.int(2) === 0 ? pick() : Buffer.concat([pick(), pick(), pick()]), rng, pick);
};

const readAll = (
  how: Pick<Transcript, 'side' | 'settings' | 'deflate' | 'closing'>,
  chunks: readonly Uint8Array[],
): string => {
  const recorder = new Recorder(how);
  const { machine } = recorder;
  let given = 0;
  for (const chunk of chunks) {
    const over = machine.state === 'failed' || machine.state === 'closed';
    const told = recorder.told.length;
    const written = recorder.written.length;
    recorder.receive(chunk);
    given += chunk.length;
    need(machine.holding <= MOST_HELD, `it holds ${machine.holding}`);
    need(recorder.written.length <= given * 2 + 200, `${given} in, ${recorder.written.length} out`);
    need(machine.outbox.size === 0, 'something was not written');
    if (over) need(recorder.told.length === told && recorder.written.length === written, 'it speaks after the end');
  }
  const ends = recorder.told.filter((line) => line.startsWith('fault') || line.startsWith('closed')).length;
  const state = machine.state;
  need(ends === (state === 'failed' || state === 'closed' ? 1 : 0), `${ends} ends in the state ${state}`);
  const out = recorder.out().join('\n');
  need(!out.includes('half a frame') && !out.includes('wrong mask') && !out.includes('ASCII that is none'), out);
  machine.end();
  recorder.receive(Uint8Array.of(0x81, 0x80, 0, 0, 0, 0));
  machine.release(2_000);
  machine.tick(1e9);
  need(
    `${[...recorder.told].length}` ===
      `${out.split('\n').filter((line) => !line.startsWith('send') && !line.startsWith('state')).length}`,
    'it speaks after it was ended',
  );
  need(machine.holding === 0 && machine.outbox.size === 0, 'it holds something after the end');
  return out;
};

const fuzzMachine = (rng: Random): void => {
  const how = {
    side: rng.pick(['server', 'client'] as const),
    deflate: rng.pick([undefined, undefined, 'fresh', 'kept'] as const),
    closing: rng.int(5) === 0 ? 1000 : undefined,
    settings: { ...LIMITS, rate: rng.int(10) === 0 ? { perSecond: 1, burst: 3 } : undefined },
  };
  const input = machineInput(rng);
  const whole = readAll(how, [input]);
  const pieces = readAll(how, cut(input, rng));
  need(whole === pieces, `whole:\n${whole}\ncut:\n${pieces}`);
};

const HEADS: readonly string[] = [
  upgradeRequest(80),
  upgradeRequest(8080, { path: '/a/b?c=d', headers: { Origin: 'http://a.example', 'Sec-WebSocket-Protocol': 'a, b' } }),
  upgradeRequest(80, {
    headers: { 'Sec-WebSocket-Extensions': 'permessage-deflate; client_max_window_bits, x; y="z"' },
  }),
  'GET http://a.example/x HTTP/1.1\r\nHost: a.example\r\n\r\n',
  'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello',
  'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\u0081\u0000',
  'HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n',
  '\u0016\u0003\u0001\u0002\u0000',
  'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
];

const readHead = (side: 'request' | 'response', chunks: readonly Uint8Array[]): string => {
  const parser = new HeadParser(side, { line: 512, total: 2048, fields: 20 });
  for (const [i, chunk] of chunks.entries()) {
    const result = parser.receive(chunk);
    if (result.kind === 'more') continue;
    if (result.kind === 'fault') return result.code;
    const { fields, ...line } = result.head;
    const rest = Buffer.concat([result.rest, ...chunks.slice(i + 1)]).toString('hex');
    const verdict = result.kind === 'request' ? judgeRequest(result.head) : undefined;
    const judged = verdict === undefined ? '' : verdict.kind === 'fault' ? verdict.code : verdict.kind;
    return JSON.stringify([line, [...fields.entries()], rest, judged]);
  }
  return 'more';
};

const fuzzHead = (rng: Random): void => {
  const pick = (): Uint8Array => Buffer.from(rng.pick(HEADS), 'latin1');
  const input = rng.int(20) === 0 ? rng.bytes(rng.int(3000)) : mutate(pick(), rng, pick);
  const side = rng.pick(['request', 'response'] as const);
  const whole = readHead(side, [input]);
  const pieces = readHead(side, cut(input, rng));
  need(whole === pieces, `${side}, whole: ${whole}\ncut: ${pieces}`);
};

const V2 = '0d0a0d0a000d0a515549540a';
const PROXIES: readonly Uint8Array[] = [
  Buffer.from('PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\nGET / HTTP/1.1\r\n'),
  Buffer.from('PROXY TCP6 2001:db8::1 2001:db8::2 56324 443\r\n'),
  Buffer.from('PROXY UNKNOWN\r\n'),
  Buffer.from(`${V2}2111000cc0000201c6336402dc0401bbrest`.replace('rest', '00'), 'hex'),
  Buffer.from(`${V2}20000000`, 'hex'),
  Buffer.from(`${V2}21210024${'20010db8'.repeat(8)}dc0401bb`, 'hex'),
  Buffer.from(`${V2}21110013c0000201c6336402dc0401bb03000400000000`, 'hex'),
];

const readProxy = (chunks: readonly Uint8Array[]): string => {
  const parser = new ProxyParser();
  for (const [i, chunk] of chunks.entries()) {
    const result = parser.receive(chunk);
    if (result.kind === 'more') continue;
    if (result.kind === 'fault') return result.code;
    const rest = Buffer.concat([result.rest, ...chunks.slice(i + 1)]).toString('hex');
    return JSON.stringify([result.source ?? null, result.secure, rest]);
  }
  return 'more';
};

const fuzzProxy = (rng: Random): void => {
  const pick = (): Uint8Array => rng.pick(PROXIES);
  const input = mutate(pick(), rng, pick);
  const whole = readProxy([input]);
  const pieces = readProxy(cut(input, rng));
  need(whole === pieces, `whole: ${whole}\ncut: ${pieces}`);
};

const TEXTS: readonly string[] = [
  'permessage-deflate; server_no_context_takeover; client_max_window_bits=10',
  'permessage-deflate; client_max_window_bits, permessage-deflate',
  'x-a; b="c\\"d", , y;z="q"',
  'chat, superchat,, "x"',
  '/a/../b/%2e%2e/c?d=%20#f',
  'http://[::1]:8080/x?y',
  'ws://user@host.example:80/path?query',
  'wss://[2001:db8::1]/%zz',
  '[::1]:443',
  'EXAMPLE.com:80',
];

const fuzzText = (rng: Random): void => {
  const pick = (): Uint8Array => Buffer.from(rng.pick(TEXTS), 'latin1');
  const text = Buffer.from(mutate(pick(), rng, pick)).toString(rng.int(4) === 0 ? 'utf8' : 'latin1');
  const extensions = parseExtensions([text, rng.pick(TEXTS)]);
  if (extensions !== undefined) {
    for (const extension of extensions) writeExtension(extension);
    agreeOffer(extensions, agreement(false));
    judgeAnswer(extensions, agreement(true));
  }
  parseTokenList(text);
  const target = parseTarget(text);
  if (!('kind' in target))
    need(!target.path.includes('\0') && target.path.startsWith('/'), `path ${JSON.stringify(target.path)}`);
  parseHost(text);
  parseHost(text, true);
  const uri = parseWsUri(text);
  if (!('kind' in uri)) need(uri.resource.startsWith('/') && !/[\r\n ]/.test(uri.resource + uri.hostHeader), uri.href);
};

const fuzzFrameParts = (rng: Random): void => {
  const bytes = rng.bytes(rng.int(20));
  const header = parseHeader(bytes);
  if (header !== undefined) need(header.size <= bytes.length && header.length >= 0, 'header');
  const body = parseClose(rng.bytes(rng.int(126)));
  need('kind' in body || body.reason.length <= 123, 'close');
};

/** A whole link with a user who does what comes to mind. */
const fuzzLink = async (rng: Random): Promise<void> => {
  const side = rng.pick(['server', 'client'] as const);
  const takeover = rng.pick([undefined, undefined, false, true]);
  const settings = {
    ...LIMITS,
    maxBuffered: 20_000,
    highWater: 5_000,
    pingInterval: rng.pick([0, 500]),
    pingTimeout: 300,
    idleTimeout: rng.pick([0, 3_000]),
    messageTimeout: 2_000,
    policy: rng.pick(['close', 'drop-newest', 'drop-oldest'] as const),
  };
  const puppet = new Puppet(side, {
    settings,
    capacity: rng.pick([100, 5_000, 100_000]),
    ...(takeover === undefined ? {} : { takeover }),
  });
  const { connection } = puppet.end;
  const log: string[] = [];
  const note = (what: string) => (): void => {
    log.push(what);
    if (log.length > 5_000) throw new Error('it does not stop');
  };
  connection.on('ping', note('ping')).on('pong', note('pong')).on('error', note('error')).on('close', note('close'));
  connection.on('message', (data) => {
    log.push('message');
    if (rng.int(30) === 0) throw new Error('a handler of ours');
    if (rng.int(3) === 0) connection.send(data);
    return rng.int(8) === 0 ? new Promise<void>((resolve) => setImmediate(resolve)) : undefined;
  });
  // A send that waits, and a close, would wait for ever here: nothing but the clock is awaited.
  const act: readonly (() => void | Promise<void>)[] = [
    () => void connection.send(rng.bytes(rng.int(3_000)), { key: rng.pick([undefined, 'a']) }),
    () => void connection.send('text '.repeat(rng.int(100)), { compress: rng.pick([true, false, undefined]) }),
    () => void connection.ping().catch(() => {}),
    () => connection.pong(),
    () => connection.pause(),
    () => connection.resume(),
    () => puppet.network.advance(rng.int(1_500)),
    () => {
      puppet.reads = rng.int(2) === 0;
    },
    () => void (rng.int(6) === 0 && connection.close(1000)),
    () => void (rng.int(20) === 0 && connection.terminate()),
  ];
  for (let steps = rng.int(12); steps > 0; steps--) {
    for (const chunk of cut(machineInput(rng), rng).slice(0, 30)) await puppet.say(chunk);
    await rng.pick(act)();
    need(puppet.end.link.machine.holding <= MOST_HELD + 70_000, 'it holds too much unread');
    need(connection.bufferedAmount <= 20_000 + 10_000, `${connection.bufferedAmount} octets are queued`);
  }
  puppet.reads = true;
  connection.resume();
  await puppet.leave(rng.pick(['fin', 'reset']));
  await puppet.network.advance(20_000);
  need(log.filter((line) => line === 'close').length === 1, `${log.filter((line) => line === 'close').length} closes`);
  need(log.at(-1) === 'close', `${log.at(-1)} comes after close`);
  const outcome = await connection.closed;
  need(outcome.clean ? !('fault' in outcome) : outcome.fault !== undefined, JSON.stringify(outcome));
  puppet.takeHeard();
  await puppet.say(machineInput(rng));
  await puppet.network.advance(1_000_000);
  need(log.at(-1) === 'close' && puppet.takeHeard().length === 0, 'it speaks after the end');
};

const TARGETS: readonly (readonly [name: string, weight: number, target: (rng: Random) => void | Promise<void>])[] = [
  ['machine', 20, fuzzMachine],
  ['http head', 8, fuzzHead],
  ['proxy header', 4, fuzzProxy],
  ['header values, targets, hosts, URIs', 6, fuzzText],
  ['frame headers and close bodies', 2, fuzzFrameParts],
  ['link', 1, fuzzLink],
];
const DRAW = TARGETS.flatMap((target) => Array<(typeof TARGETS)[number]>(target[1]).fill(target));

export interface FuzzOptions {
  readonly seconds: number;
  readonly rng: Random;
  readonly progress?: (rounds: number) => void;
}

/** Until the time is over, or ten things did not hold. A failure names a seed: `WSD_ROUND=seed` runs that round alone. */
export const fuzz = async ({ seconds, rng, progress }: FuzzOptions): Promise<FuzzReport> => {
  const until = performance.now() + seconds * 1000;
  const counts: Record<string, number> = {};
  const failures: string[] = [];
  let rounds = 0;
  while (performance.now() < until && failures.length < 10) {
    const seed = rng.int(2 ** 32);
    const failure = await round(seed, counts);
    if (failure !== undefined) failures.push(failure);
    rounds++;
    progress?.(rounds);
  }
  return { rounds, counts, failures };
};

/** One round; undefined when all holds. */
export const round = async (seed: number, counts: Record<string, number> = {}): Promise<string | undefined> => {
  const rng = seeded(seed);
  const [name, , target] = rng.pick(DRAW);
  counts[name] = (counts[name] ?? 0) + 1;
  try {
    const pending = target(rng);
    if (pending !== undefined) await pending;
    return undefined;
  } catch (error) {
    return `${name}, WSD_ROUND=${seed}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`;
  }
};
