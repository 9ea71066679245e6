// Transcript, key schedule and seal against PROTOCOL.md sections 11.2 and 11.3, by both halves.
import { createHash, createHmac } from 'node:crypto';
import t, { type Test } from 'tap';
import type { Suite } from '../../lib/crypto/suite.js';
import { binderOf, deriveKeys, deriveLate, erase, eraseLate, proofOf } from '../../lib/packet/keys.js';
import { checksumOf, type Head, openBody, Protector, sealBody } from '../../lib/packet/protect.js';
import { transcriptHash } from '../../lib/packet/transcript.js';
import { FLAG, TYPE } from '../../lib/packet/wire.js';
import { writeAad, writePacket } from '../../lib/packet/write.js';
import {
  ascii,
  CLIENT_SCALAR,
  FIN_C,
  fromHex,
  NONE,
  SERVER_SCALAR,
  SETTINGS,
  SUITES,
  toHex,
  VECTOR,
  watched,
} from './handshake-scene.js';

const { prologue } = SETTINGS;
const AUTH_C = fromHex(VECTOR.AUTH_C);
const AUTH_S = fromHex(VECTOR.AUTH_S);
const FIN_S = fromHex(VECTOR.FIN_S);

for (const suite of SUITES) {
  t.test(`${suite.name}: the transcript and every key of section 11.2`, async (t) => {
    const hash = (...parts: Uint8Array[]): string => toHex(transcriptHash(suite, prologue, AUTH_C, AUTH_S, ...parts));
    t.equal(hash(), VECTOR.H1, 'H1');
    t.equal(hash(NONE), VECTOR.H2, 'H2: an empty part is a part');
    t.equal(hash(FIN_S), VECTOR.H3, 'H3');
    t.equal(hash(FIN_S, NONE), VECTOR.H4, 'H4');
    t.equal(hash(FIN_S, fromHex(FIN_C)), VECTOR.H5, 'H5');

    const [client, server] = [suite.newPair(CLIENT_SCALAR), suite.newPair(SERVER_SCALAR)];
    const z = client.agree(server.publicKey) as Uint8Array;
    t.equal(toHex(z), VECTOR.Z, 'Z');
    t.equal(toHex(server.agree(client.publicKey)), VECTOR.Z);
    const schedule = deriveKeys(suite, fromHex(VECTOR.H1), z);
    t.equal(toHex(z), '00'.repeat(32), 'Z is erased when the keys are there');
    t.equal(toHex(schedule.prk), VECTOR.PRK, 'PRK');
    t.equal(toHex(schedule.c2s.key), VECTOR.c2sKey);
    t.equal(toHex(schedule.c2s.iv), VECTOR.c2sIv);
    t.equal(toHex(schedule.s2c.key), VECTOR.s2cKey);
    t.equal(toHex(schedule.s2c.iv), VECTOR.s2cIv);
    t.equal(toHex(schedule.c2sFinished), VECTOR.c2sFinished);
    t.equal(toHex(schedule.s2cFinished), VECTOR.s2cFinished);
    t.equal(toHex(suite.hmac(schedule.s2cFinished, fromHex(VECTOR.H2))), toHex(FIN_S.subarray(3, 35)), 'server');
    t.equal(toHex(suite.hmac(schedule.c2sFinished, fromHex(VECTOR.H4))), VECTOR.verifyC, 'client');

    const watch = watched(suite);
    const late = deriveLate(watch.suite, schedule.prk, fromHex(VECTOR.H5));
    t.equal(toHex(late.exporter), VECTOR.exporter);
    t.equal(toHex(late.binderKey), VECTOR.binderKey);
    t.equal(toHex(late.packageC2s), VECTOR.packageC2s);
    t.equal(toHex(late.packageS2c), VECTOR.packageS2c);
    t.equal(toHex(binderOf(suite, late.binderKey, fromHex(VECTOR.H3))), VECTOR.binder);
    const proof = createHmac('sha256', late.binderKey).update('server').update(fromHex(VECTOR.H5)).digest('hex');
    t.equal(toHex(proofOf(suite, late.binderKey, fromHex(VECTOR.H5))), proof);
    const resumption = watch.secrets.find(({ name }) => name === 'resumption');
    t.equal(resumption?.was, VECTOR.resumption);
    t.equal(toHex(resumption?.array), '00'.repeat(32), 'the resumption secret is erased: only its binder key is used');
    eraseLate(late);
    erase(undefined, schedule.prk);
    for (const secret of [...Object.values(late), schedule.prk]) t.equal(toHex(secret), '00'.repeat(32), 'erased');
  });

  t.test(`${suite.name}: sealed packets of section 11.3, both ways`, async (t) => {
    const c2s = new Protector(suite, fromHex(VECTOR.c2sKey), fromHex(VECTOR.c2sIv));
    const s2c = new Protector(suite, fromHex(VECTOR.s2cKey), fromHex(VECTOR.s2cIv));
    const abc = ascii('abc'.repeat(40));
    const R = FLAG.reliable | FLAG.checksum | FLAG.encrypted;

    const hello = ascii('hello');
    const first: Head = { type: TYPE.default, flags: R, number: 2, tsf: NONE };
    t.equal(toHex(writeAad(first.type, first.flags, first.number, NONE)), '00d000020000');
    t.equal(checksumOf(suite, first, hello), 0x9222);
    check(t, c2s, first, 0x9222, hello, '00d0000200005ed6dd372ab6e7a49f2e66a0163ccad82ed9f8c1245b2c');

    const second: Head = { type: TYPE.default, flags: R | FLAG.compressed, number: 0x10003, tsf: NONE };
    const sum = checksumOf(suite, second, abc);
    check(t, s2c, second, sum, suite.deflate(abc), '00f0000300011479c92f30d8c7c69191e1728f425831b1ad310dc2638995deec');

    const flags = FLAG.checksum | FLAG.encrypted | FLAG.frag;
    const third: Head = { type: TYPE.default, flags, number: 5, tsf: NONE };
    const data = Uint8Array.from({ length: 2000 }, (_, i) => i & 255);
    const sealed = sealBody(c2s, third, checksumOf(suite, third, data), data);
    const packets = [0, 1, 2].map((fragmentId) =>
      writePacket({
        ...third,
        sequence: 5,
        fragmentId,
        fragmentCount: 3,
        checksum: sealed.checksum,
        data: sealed.data.subarray(988 * fragmentId, 988 * (fragmentId + 1)),
      }),
    );
    t.strictSame(
      packets.map((packet) => packet.length),
      [998, 998, 50],
    );
    t.equal(toHex(packets[0]?.subarray(0, 10)), '005800050003000003a9');
    const all = createHash('sha256').update(Buffer.concat(packets)).digest('hex');
    t.equal(all, '07313bd66d961a93634d458a7ce7618de44ff97f66c99f048fff0e3339c5724b');
    const back = openBody(c2s, third, 0x03a9, sealed.data);
    t.equal(toHex(back?.body), toHex(data));
  });
}

const check = (
  t: Test,
  protector: Protector,
  head: Head,
  checksum: number,
  body: Uint8Array,
  expected: string,
): void => {
  const { number } = head;
  const sealed = sealBody(protector, head, checksum, body);
  const packet = writePacket({ ...head, sequence: number & 0xffff, initVector: number >>> 16, ...sealed });
  t.equal(toHex(packet), expected);
  const opened = openBody(protector, head, sealed.checksum, sealed.data);
  t.equal(toHex(opened?.body), toHex(body));
  t.equal(opened?.checksum, checksum);
};

t.test('no two conversations have the same transcript', async (t) => {
  const suite = SUITES[0] as Suite;
  const parts = [['ab', 'c'], ['a', 'bc'], ['abc'], ['abc', ''], ['', 'abc'], ['', '', 'abc'], ['ab', '', 'c']];
  const hashes = parts.map((texts) => toHex(transcriptHash(suite, ...texts.map(ascii))));
  t.equal(new Set(hashes).size, parts.length);
});

for (const suite of SUITES) {
  t.test(`${suite.name}: what was sealed opens only as it was sealed`, async (t) => {
    const protector = new Protector(suite, suite.random(32), suite.random(12));
    const head: Head = { type: TYPE.heartbeat, flags: FLAG.encrypted, number: 7, tsf: Uint8Array.of(0) };
    const checked: Head = { ...head, flags: head.flags | FLAG.checksum };
    for (const one of [head, checked]) {
      const { checksum, data } = sealBody(protector, one, 0x1234, ascii('payload'));
      t.equal(toHex(openBody(protector, one, checksum, data)?.body), toHex(ascii('payload')));
      t.equal(openBody(protector, one, checksum, data)?.checksum, one === checked ? 0x1234 : 0);
      const others: Head[] = [
        { ...one, type: TYPE.default },
        { ...one, flags: one.flags ^ FLAG.reliable },
        { ...one, number: 8 },
        { ...one, number: 7 + 65536 },
        { ...one, tsf: Uint8Array.of(1) },
        { ...one, tsf: NONE },
      ];
      for (const other of others) t.equal(openBody(protector, other, checksum, data), undefined);
      // Fragments are made after sealing.
      t.ok(openBody(protector, { ...one, flags: one.flags | FLAG.frag }, checksum, data));
      for (let at = 0; at < data.length; at++) {
        const bent = data.slice();
        bent[at] = (bent[at] as number) ^ 0x01;
        t.equal(openBody(protector, one, checksum, bent), undefined, `octet ${at}`);
        t.equal(openBody(protector, one, checksum, data.subarray(0, at)), undefined, `cut to ${at}`);
      }
      if (one === checked) t.equal(openBody(protector, one, checksum ^ 1, data), undefined, 'the field is ciphertext');
    }
  });

  t.test(`${suite.name}: every number has its own nonce, up to the last and beyond 32 bits`, async (t) => {
    const iv = fromHex('000000000123456789abcdef');
    const nonces: string[] = [];
    const spy: Suite = {
      ...suite,
      aead: (key) => {
        const aead = suite.aead(key);
        return {
          ...aead,
          seal: (nonce, aad, plain) => {
            nonces.push(toHex(nonce));
            return aead.seal(nonce, aad, plain);
          },
        };
      },
    };
    const protector = new Protector(spy, new Uint8Array(32), iv);
    for (const number of [0, 1, 0xffff, 0x10000, 0x89abcdef, 2 ** 32 - 1, 2 ** 32 + 1]) {
      protector.seal(number, NONE, NONE);
    }
    t.strictSame(nonces, [
      '000000000123456789abcdef',
      '000000000123456789abcdee',
      '000000000123456789ab3210',
      '000000000123456789aacdef',
      '000000000123456700000000',
      '000000000123456776543210',
      '000000000123456689abcdee',
    ]);
  });

  t.test(`${suite.name}: a key that was erased seals nothing`, async (t) => {
    const key = suite.random(32);
    const before = toHex(key);
    const protector = new Protector(suite, key, suite.random(12));
    const sealed = protector.seal(1, NONE, ascii('x'));
    protector.erase();
    t.equal(toHex(protector.key), '00'.repeat(32));
    t.equal(toHex(protector.iv), '00'.repeat(12));
    t.equal(toHex(key), before, 'what was given is the giver’s');
    t.equal(protector.open(1, NONE, sealed), undefined);
    t.throws(() => protector.seal(2, NONE, ascii('x')), TypeError);
    t.throws(() => new Protector(suite, key.subarray(1), new Uint8Array(12)), RangeError);
    t.throws(() => new Protector(suite, key, new Uint8Array(16)), RangeError);
  });
}

t.test('keys that lie in a pool are copied out of it', async (t) => {
  const suite = SUITES[0] as Suite;
  const pooled = Buffer.from('ab'.repeat(64), 'hex');
  const [key, iv] = [pooled.subarray(8, 40), pooled.subarray(40, 52)];
  const protector = new Protector(suite, key, iv);
  const sealed = protector.seal(3, NONE, ascii('x'));
  pooled.fill(0);
  const same = new Protector(suite, new Uint8Array(32).fill(0xab), new Uint8Array(12).fill(0xab));
  t.equal(toHex(same.open(3, NONE, sealed)), toHex(ascii('x')));
});
