// The bytes that a workload sends and the bytes it expects back, made once before anything is measured: a ring of masked frames, such that
// sending is a slice of it and checking a comparison with its counterpart. Content is drawn from a seed, the same in every run.
// The frames are written by the rig's plain encoder, not by the code that is measured.
import { constants, deflateRawSync } from 'node:zlib';
import { type Random, seeded } from '../../fixtures/rig/random.js';
import { encode } from '../../fixtures/rig/wire.js';
import { Deflate } from '../../lib/deflate/codec.js';
import type { DeflateAgreement } from '../../lib/deflate/parameters.js';
import type { Workload } from './workloads.js';

const WORDS =
  'the order shipped pending account update price market please review today session user balance alert limit'.split(
    ' ',
  );
const NAMES = [
  'Amelia Thornton',
  'Bogdan Petrescu',
  'Chiara Esposito',
  'Esra Yilmaz',
  'Farid Haddad',
  'Greta Lindqvist',
];
const ASCII = 'abcdefghijklmnopqrstuvwxyz 0123456789';

/** A record such as a feed or a chat sends, cut to the size. */
export const jsonText = (random: Random, size: number): string => {
  let text = `{"type":"update","seq":${100_000 + random.int(900_000)},"channel":"room-${random.int(97)}","items":[`;
  while (text.length < size) {
    const words = Array.from({ length: 5 }, () => random.pick(WORDS)).join(' ');
    const price = (random.int(500_000) / 100).toFixed(2);
    text += `{"id":"${random.int(2 ** 32).toString(16)}","user":"${random.pick(NAMES)}","price":${price},"active":${random.int(2) === 1},"text":"${words}"},`;
  }
  return text.slice(0, size);
};

/** Valid UTF-8 of exactly that many bytes: 55 % ASCII, the rest of two, three and four octets. */
export const multibyteText = (random: Random, size: number): Buffer => {
  const out = Buffer.alloc(size, 'e');
  // The first octet is to be a letter: servers look at it.
  let at = 1;
  while (at < size) {
    const left = size - at;
    const kind = random.int(100);
    let point = ASCII.charCodeAt(random.int(ASCII.length));
    if (kind >= 95 && left >= 4) point = 0x1f600 + random.int(0x40);
    else if (kind >= 75 && left >= 3) point = 0x4e00 + random.int(0x2000);
    else if (kind >= 55 && left >= 2) point = 0x400 + random.int(0x50);
    at += out.write(String.fromCodePoint(point), at, 'utf8');
  }
  return out;
};

export const payloadOf = (random: Random, content: Workload['content'], size: number): Buffer => {
  if (content === 'json') return Buffer.from(jsonText(random, size), 'latin1');
  if (content === 'multibyte') return multibyteText(random, size);
  if (content === 'binary') return Buffer.from(random.bytes(size));
  return Buffer.from(Array.from({ length: size }, () => ASCII.charCodeAt(random.int(ASCII.length))));
};

/** What a browser sends, about 500 bytes. The key is the one of RFC 6455 section 1.3. */
export const browserRequest = (port: number, deflate: Workload['deflate']): Buffer => {
  const hints = deflate === 'noctx' ? '; server_no_context_takeover; client_no_context_takeover' : '';
  const lines = [
    'GET / HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Connection: Upgrade',
    'Pragma: no-cache',
    'Cache-Control: no-cache',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
    'Upgrade: websocket',
    'Origin: http://localhost',
    'Sec-WebSocket-Version: 13',
    'Accept-Encoding: gzip, deflate, br, zstd',
    'Accept-Language: en-US,en;q=0.9',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    ...(deflate === '0' ? [] : [`Sec-WebSocket-Extensions: permessage-deflate${hints}`]),
  ];
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
};

export const ACCEPT = 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=';
export const CLOSE_FRAME: Uint8Array = encode({ opcode: 8, payload: Buffer.from([3, 0xe8]) });

/** How replies are compressed, as the server's answer says; undefined: not at all. */
export type Takeover = { readonly server: boolean; readonly client: boolean } | undefined;

/** Client's and server's window as a codec wants them told. */
export const agreementOf = (takeover: { readonly server: boolean; readonly client: boolean }): DeflateAgreement => ({
  serverNoContext: !takeover.server,
  clientNoContext: !takeover.client,
  serverBits: 15,
  clientBits: 15,
});

export interface Traffic {
  /** How many different messages there are; after the last comes the first again. */
  readonly count: number;
  readonly payloads: readonly Buffer[];
  /** Frames back to back, and after the last one a copy of the first ones: any burst is one slice. */
  readonly frames: Buffer;
  /** Where frame `i` begins; one entry more than there are frames in `frames`. */
  readonly starts: readonly number[];
  /** The replies back to back as they must arrive; undefined when they are compressed, which nobody can foretell. */
  readonly replies: Buffer | undefined;
  /** Bytes of one reply; all have the same size. */
  readonly replySize: number;
  /** Messages that one reply stands for. */
  readonly perReply: number;
}

const RING = 1 << 20;

export const trafficOf = (workload: Workload, raw: boolean, takeover: Takeover): Traffic => {
  const { size, content, mode, depth } = workload;
  const random = seeded(0x57534421);
  const perReply = mode === 'sink' ? depth : 1;
  let count = Math.min(256, Math.max(2, Math.floor(RING / size)));
  count = Math.ceil(count / perReply) * perReply;
  const payloads = Array.from({ length: count }, (_, i) => {
    const payload = payloadOf(random, content, size);
    // The first letter tells the server what to do: B broadcasts, S is dropped, all else is echoed.
    const letter = mode === 'broadcast' ? 'B' : mode === 'sink' && (i + 1) % perReply !== 0 ? 'S' : 'e';
    if (content !== 'json') payload.write(letter, 0, 'latin1');
    return payload;
  });
  const opcode = content === 'binary' ? 2 : 1;
  const bodies = takeover === undefined ? payloads : compressed(payloads, takeover.client);
  const frames = bodies.map((payload) => {
    const mask = [...random.bytes(4)].map((octet) => octet | 1) as [number, number, number, number];
    return encode({ opcode, rsv: takeover === undefined ? 0 : 4, payload, mask });
  });
  const starts = [0];
  const ring = Array.from({ length: count + depth }, (_, i) => frames[i % count] as Uint8Array);
  for (const frame of ring) starts.push((starts.at(-1) as number) + frame.length);
  const replies = raw
    ? frames
    : payloads.filter((_, i) => (i + 1) % perReply === 0).map((payload) => encode({ opcode, payload, mask: false }));
  return {
    count,
    payloads,
    frames: Buffer.concat(ring),
    starts,
    replies: takeover === undefined ? Buffer.concat(replies) : undefined,
    replySize: (replies[0] as Uint8Array).length,
    perReply,
  };
};

/**
 * RFC 7692 section 7.2.1. With takeover the window runs from the first message to the last, and the first refers to nothing before it, so
 * that it may come again after the last.
 */
const compressed = (payloads: readonly Buffer[], takeover: boolean): Buffer[] => {
  if (!takeover) {
    return payloads.map((payload) => {
      const whole = deflateRawSync(payload, { level: 6, finishFlush: constants.Z_SYNC_FLUSH });
      return whole.subarray(0, -4);
    });
  }
  const codec = new Deflate('client', agreementOf({ server: true, client: true }), { level: 6, memLevel: 8 });
  const bodies = payloads.map((payload) => Buffer.from(codec.compress(payload)));
  codec.close();
  return bodies;
};
