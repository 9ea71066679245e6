// Against other implementations: Node's streaming zlib, as most libraries use it, and the `ws` package.

import { constants, createDeflateRaw, createInflateRaw, type DeflateRaw, type InflateRaw } from 'node:zlib';
import t from 'tap';
import { seedFromEnv } from '../../fixtures/rig/random.js';
import { Deflate } from '../../lib/deflate/codec.js';
import { agreeOffer, type DeflateTerms, judgeAnswer, writeOffer } from '../../lib/deflate/parameters.js';
import type { EngineName } from '../../lib/deflate/settings.js';
import { parseExtensions } from '../../lib/http/extensions.js';
import { agreement, anyMessage } from './samples.js';

const ENGINES: readonly EngineName[] = ['auto', 'documented'];
const LIMIT = 1 << 20;
const TAIL = Buffer.from([0, 0, 255, 255]);

/** One message through a stream that stays open, all of its output so far. */
function through(stream: DeflateRaw | InflateRaw, input: Uint8Array): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = [];
    const collect = (part: Buffer): number => parts.push(part);
    stream.on('data', collect);
    stream.once('error', reject);
    stream.write(input);
    stream.flush(constants.Z_SYNC_FLUSH, () => {
      stream.off('data', collect);
      stream.off('error', reject);
      resolve(Buffer.concat(parts));
    });
  });
}

const equal = (message: Uint8Array, got: unknown): boolean =>
  got instanceof Uint8Array && Buffer.from(got).equals(message);

t.test('of 40 contexts in turn few own a zlib object; the others are as right, and hold only their past', async (t) => {
  const rng = seedFromEnv('contexts');
  const contexts = Array.from({ length: 40 }, (_, i) => {
    const bits = 8 + (i % 8);
    return {
      bits,
      codec: new Deflate('server', agreement(true, bits), { level: 3, memLevel: 8 }),
      inflate: createInflateRaw({ windowBits: bits }),
    };
  });
  for (let turn = 0; turn < 20; turn++) {
    for (const [i, { bits, codec, inflate }] of contexts.entries()) {
      if (rng.int(10) === 0) codec.rest();
      const message = anyMessage(rng);
      if (message.length === 0) continue;
      const got = await through(inflate, Buffer.concat([codec.compress(message), TAIL]));
      if (!equal(message, got)) throw new Error(`context ${i}, bits ${bits}, turn ${turn}, ${message.length} bytes`);
    }
  }
  const held = contexts.filter(({ codec }) => codec.memory > 128 * 1024);
  t.ok(held.length <= 8, `${held.length} own a zlib object`);
  const repeated = Buffer.from(JSON.stringify({ user: 'somebody', price: 12.5, tags: ['a', 'b'], at: 1_700_000_000 }));
  const last = contexts.at(-1)?.codec;
  const first = last?.compress(repeated).length ?? 0;
  t.ok((last?.compress(repeated).length ?? 0) * 3 < first, 'what was said before is referred to');
  for (const { codec, inflate } of contexts) {
    codec.close();
    inflate.close();
  }
});

for (const engine of ENGINES)
  t.test(
    `${engine}: 400 messages each way with a streaming zlib, all window sizes, with and without takeover`,
    async (t) => {
      const rng = seedFromEnv(`streams ${engine}`);
      for (let bits = 8; bits <= 15; bits++)
        for (const takeover of [true, false]) {
          const codec = new Deflate('server', agreement(takeover, bits), { level: 3, memLevel: 8, engine });
          let deflate = createDeflateRaw({ windowBits: Math.max(9, bits) });
          let inflate = createInflateRaw({ windowBits: bits });
          for (let turn = 0; turn < 25; turn++) {
            if (!takeover) {
              deflate.close();
              inflate.close();
              deflate = createDeflateRaw({ windowBits: Math.max(9, bits) });
              inflate = createInflateRaw({ windowBits: bits });
            }
            if (rng.int(3) === 0) codec.rest();
            const message = anyMessage(rng);
            const where = `bits ${bits}, takeover ${takeover}, turn ${turn}, ${message.length} bytes`;
            // Flushing twice with nothing in between gives nothing, not even the tail: such a message has no octets.
            const payload = (await through(deflate, message)).subarray(0, -4);
            if (!equal(message, codec.inflate(payload, LIMIT))) return t.fail(`in: ${where}`);
            const sent = Buffer.concat([codec.compress(message), TAIL]);
            if (!equal(message, await through(inflate, sent))) return t.fail(`out: ${where}`);
          }
          deflate.close();
          inflate.close();
          codec.close();
        }
      t.pass('all of them');
      return;
    },
  );

type Params = Record<string, unknown>;
interface PeerCodec {
  offer(): Params;
  accept(configurations: readonly Params[]): Params;
  compress(data: Uint8Array, fin: boolean, done: (error: Error | null, data: Uint8Array) => void): void;
  decompress(data: Uint8Array, fin: boolean, done: (error: Error | null, data: Uint8Array) => void): void;
  cleanup(): void;
}
interface Peer {
  readonly PerMessageDeflate: new (options: Params) => PeerCodec;
  readonly extension: {
    parse(header: string): Record<string, Params[]>;
    format(extensions: Record<string, Params>): string;
  };
}
// It has no types of its own: a name that the compiler cannot follow.
const name: string = 'ws';
const { PerMessageDeflate, extension } = (await import(name)) as Peer;

const NAME = 'permessage-deflate';
const TERMS: readonly DeflateTerms[] = [
  { serverNoContext: false, clientNoContext: false, serverBits: 15, clientBits: 15 },
  { serverNoContext: true, clientNoContext: true, serverBits: 15, clientBits: 15 },
  { serverNoContext: false, clientNoContext: true, serverBits: 10, clientBits: 9 },
  { serverNoContext: true, clientNoContext: false, serverBits: 8, clientBits: 8 },
];

/** There, `false` means that the peer must not ask for it. */
const asOptions = (terms: DeflateTerms): Params => ({
  ...(terms.serverNoContext && { serverNoContextTakeover: true }),
  ...(terms.clientNoContext && { clientNoContextTakeover: true }),
  serverMaxWindowBits: terms.serverBits,
  clientMaxWindowBits: terms.clientBits,
});

interface Reporter {
  pass(why: string): unknown;
  fail(why: string): unknown;
}

async function talk(t: Reporter, codec: Deflate, other: PeerCodec, seedName: string): Promise<void> {
  const rng = seedFromEnv(seedName);
  for (let turn = 0; turn < 40; turn++) {
    const message = anyMessage(rng);
    if (message.length === 0) continue;
    if (turn % 8 === 7) codec.rest();
    const received = await new Promise((resolve) =>
      other.decompress(Buffer.from(codec.compress(message)), true, (error, data) => resolve(error ?? data)),
    );
    if (!equal(message, received)) return void t.fail(`out: turn ${turn}: ${String(received).slice(0, 80)}`);
    const sent = await new Promise<Uint8Array>((resolve, reject) =>
      other.compress(message, true, (error, data) => (error ? reject(error) : resolve(data))),
    );
    if (!equal(message, codec.inflate(sent, LIMIT))) return void t.fail(`in: turn ${turn}`);
  }
  t.pass('40 messages each way');
  codec.close();
  other.cleanup();
}

t.test('the ws package as client: negotiation and messages', async (t) => {
  for (const [theirs, wanted] of TERMS.entries())
    for (const [ours, terms] of TERMS.entries()) {
      const client = new PerMessageDeflate({ ...asOptions(wanted), isServer: false });
      const offers = parseExtensions([extension.format({ [NAME]: client.offer() })]) ?? [];
      const taken = agreeOffer(offers, terms);
      if (taken === undefined) {
        t.fail(`client ${theirs}, server ${ours}: nothing agreed`);
        continue;
      }
      client.accept(extension.parse(taken.answer)[NAME] ?? []);
      if (theirs === ours || ours === 0)
        await talk(
          t,
          new Deflate('server', taken.agreement, { level: 3, memLevel: 8 }),
          client,
          `ws client ${theirs} ${ours}`,
        );
    }
});

t.test('the ws package as server: negotiation and messages', async (t) => {
  for (const [theirs, wanted] of TERMS.entries())
    for (const [ours, terms] of TERMS.entries()) {
      const { serverMaxWindowBits, clientMaxWindowBits, ...forget } = asOptions(wanted);
      // It declines an offer whose limit is below its own, so it is given limits only where they are the smaller ones.
      const limits =
        theirs === ours
          ? {}
          : {
              serverMaxWindowBits: Math.min(terms.serverBits, wanted.serverBits),
              clientMaxWindowBits: Math.min(terms.clientBits, wanted.clientBits),
            };
      const server = new PerMessageDeflate({ ...forget, ...limits, isServer: true });
      const answer = extension.format({ [NAME]: server.accept(extension.parse(writeOffer(terms))[NAME] ?? []) });
      const agreed = judgeAnswer(parseExtensions([answer]) ?? [], terms);
      if (agreed === undefined || 'kind' in agreed) {
        t.fail(`server ${theirs}, client ${ours}: ${answer}: ${agreed?.detail}`);
        continue;
      }
      if (theirs === ours || theirs === 0)
        await talk(t, new Deflate('client', agreed, { level: 3, memLevel: 8 }), server, `ws server ${theirs} ${ours}`);
    }
});
