// Unit benches of the opening handshake: a browser's request to the 101, and its steps.
import { agreeOffer } from '../../../lib/deflate/parameters.js';
import { DEFLATE_DEFAULTS } from '../../../lib/deflate/settings.js';
import { HeadParser, type RequestHead } from '../../../lib/http/head.js';
import { acceptKey } from '../../../lib/websocket/accept.js';
import { judgeRequest, type UpgradeRequest, writeAccept } from '../../../lib/websocket/opening-server.js';
import type { Unit } from '../stopwatch.js';
import { browserRequest } from '../traffic.js';

const LIMITS = { line: 8192, total: 16_384, fields: 100 };
const request = browserRequest(8080, 'ctx');
const octets = Array.from(request, (_, i) => request.subarray(i, i + 1));

const parse = (pieces: readonly Uint8Array[]): RequestHead => {
  const parser = new HeadParser('request', LIMITS);
  for (const piece of pieces) {
    const result = parser.receive(piece);
    if (result.kind === 'request') return result.head;
  }
  throw new Error('a good request must be read');
};

const judge = (head: RequestHead): UpgradeRequest => {
  const verdict = judgeRequest(head);
  if (verdict.kind !== 'upgrade') throw new Error('a good request must be accepted');
  return verdict;
};

const answer = ({ key, offers }: UpgradeRequest): Uint8Array => {
  const agreed = agreeOffer(offers, DEFLATE_DEFAULTS);
  return writeAccept({ key, extensions: agreed?.answer });
};

const head = parse([request]);
const upgrade = judge(head);

const unit = (name: string, step: () => number, bytes?: number): Unit => ({
  group: 'opening handshake',
  name,
  ...(bytes === undefined ? {} : { bytes }),
  run(count) {
    let sum = 0;
    for (let i = 0; i < count; i++) sum += step();
    return sum;
  },
});

export const OPENING_UNITS: readonly Unit[] = [
  unit('request head, in one chunk', () => parse([request]).target.length, request.length),
  unit('request head, byte by byte', () => parse(octets).target.length, request.length),
  unit('judge the request', () => judge(head).offers.length),
  unit('Sec-WebSocket-Accept', () => acceptKey(upgrade.key).length),
  unit('agree on deflate, write the 101', () => answer(upgrade).length),
  unit('all of it', () => answer(judge(parse([request]))).length),
];
