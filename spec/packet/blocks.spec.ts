// The blocks of FINISHED and CONFIRM: PROTOCOL.md section 6.5.
import t from 'tap';
import {
  type BlockPlace,
  parseBlocks,
  parseCertVerify,
  parseParams,
  parseResume,
  parseResumed,
  parseSession,
  writeBlocks,
  writeCertVerify,
  writeParams,
  writeResume,
  writeResumed,
  writeSession,
} from '../../lib/packet/blocks.js';
import { FIN_C, fromHex, NONE, SESSION_ID, toHex, VECTOR } from './handshake-scene.js';

const zeros = (count: number): string => '00'.repeat(count);
const VERIFY = `020020${zeros(32)}`;
const PARAMS = `03000a${zeros(10)}`;
const SESSION = `050014${zeros(20)}`;
const RESUME = `0400c0${zeros(192)}`;

t.test('the FINISHED of section 11.2 are read and written octet by octet', async (t) => {
  for (const [place, text] of [
    ['server FINISHED', VECTOR.FIN_S],
    ['client FINISHED', FIN_C],
  ] as const) {
    const blocks = parseBlocks(fromHex(text), place);
    if (blocks.kind !== 'blocks') throw new Error(blocks.detail);
    t.strictSame(Object.keys(blocks), ['kind', 'verifyData', 'params']);
    const params = parseParams(blocks.params as Uint8Array);
    t.strictSame(params, { maxMessage: 1_048_576, heartbeat: 15_000, ackDelay: 25 });
    const again = writeBlocks({ params: writeParams(params), verifyData: blocks.verifyData });
    t.equal(toHex(again), text, 'in the order of their types, whatever order they were given in');
  }
});

t.test('every value comes back as it was written', async (t) => {
  const proof = { scheme: 0x0403, signature: fromHex('3006020101020102') };
  t.strictSame(parseCertVerify(writeCertVerify(proof)), proof);
  t.equal(toHex(writeCertVerify({ scheme: 0x0807, signature: NONE })), '0807');
  const most = { maxMessage: 2 ** 32 - 1, heartbeat: 2 ** 32 - 1, ackDelay: 65535 };
  t.strictSame(parseParams(writeParams(most)), most);
  const resume = { id: SESSION_ID, binder: new Uint8Array(32).fill(1), state: new Uint8Array(144).fill(2) };
  t.equal(toHex(writeResume(resume)), `${toHex(SESSION_ID)}${'01'.repeat(32)}${'02'.repeat(144)}`);
  t.strictSame(parseResume(writeResume(resume)), resume);
  t.strictSame(parseSession(writeSession({ id: SESSION_ID, ttl: 60 })), { id: SESSION_ID, ttl: 60 });
  const accepted = { accepted: true, state: new Uint8Array(144).fill(3) };
  t.strictSame(parseResumed(writeResumed(accepted)), accepted);
  t.strictSame(parseResumed(writeResumed({ accepted: false, state: NONE })), { accepted: false, state: NONE });
  t.equal(parseResumed(fromHex('01')), undefined, 'accepted without a state');
  t.equal(parseResumed(fromHex(`00${zeros(144)}`)), undefined, 'refused with a state');
  t.equal(parseResumed(fromHex(`02${zeros(144)}`)), undefined, 'neither');
});

t.test('what a peer keeps of a block is its own memory', async (t) => {
  const value = writeSession({ id: SESSION_ID, ttl: 1 });
  const lent = Buffer.from(value);
  const { id } = parseSession(lent);
  lent.fill(0);
  t.equal(toHex(id), toHex(SESSION_ID));
  const state = Buffer.from(writeResumed({ accepted: true, state: new Uint8Array(144).fill(4) }));
  const resumed = parseResumed(state);
  state.fill(0);
  t.equal(resumed?.state[0], 4);
});

const GOOD: readonly (readonly [BlockPlace, string, string])[] = [
  ['server FINISHED', '', 'nothing at all: what must be there is not the form'],
  ['server FINISHED', `${VERIFY}`, 'one block'],
  ['client FINISHED', `010002 0403 ${VERIFY}${PARAMS}${RESUME}`, 'all blocks of a client'],
  ['server FINISHED', `${VERIFY}800000`, 'an unknown one that may be passed over'],
  ['server FINISHED', `${VERIFY}800003aabbcc ff0000`, 'two of them'],
  ['CONFIRM', `${SESSION}060001 00`, 'refused, and a fresh session'],
  ['CONFIRM', `060091 01 ${zeros(144)}`, 'resumed'],
  ['CONFIRM', `060091 01 ${zeros(144)} 800020 ${zeros(32)}`, 'resumed, and proved'],
  ['client FINISHED', `${VERIFY}800020${zeros(32)}`, 'PROOF where nobody reads it'],
];

const BAD: readonly (readonly [BlockPlace, string, string])[] = [
  ['server FINISHED', '02', 'a type alone'],
  ['server FINISHED', '0200', 'half a length'],
  ['server FINISHED', VERIFY.slice(0, -2), 'a value that is cut'],
  ['server FINISHED', `${VERIFY}00`, 'an octet after the last block'],
  ['server FINISHED', '02ffff', 'a length beyond the packet'],
  ['server FINISHED', `${VERIFY}${VERIFY}`, 'the same block twice'],
  ['server FINISHED', `${PARAMS}${VERIFY}`, 'descending'],
  ['server FINISHED', `${VERIFY}800000800000`, 'a block that may be ignored, twice'],
  ['server FINISHED', `${VERIFY}810000800000`, 'those in the wrong order'],
  ['server FINISHED', `800000${VERIFY}`, 'after one that may be ignored'],
  ['server FINISHED', `000000${VERIFY}`, 'type 0'],
  ['server FINISHED', `${VERIFY}070000`, 'an unknown block'],
  ['server FINISHED', `${VERIFY}7f0000`, 'the last unknown one that counts'],
  ['server FINISHED', `${VERIFY}${RESUME}`, 'RESUME of a server'],
  ['server FINISHED', `${VERIFY}${SESSION}`, 'SESSION in FINISHED'],
  ['client FINISHED', `${VERIFY}060001 00`, 'RESUMED in FINISHED'],
  ['server FINISHED', `010001 04 ${VERIFY}`, 'CERT_VERIFY without a whole scheme'],
  ['server FINISHED', `02001f${zeros(31)}`, 'VERIFY_DATA of 31 octets'],
  ['server FINISHED', `020021${zeros(33)}`, 'VERIFY_DATA of 33 octets'],
  ['server FINISHED', `${VERIFY}030009${zeros(9)}`, 'PARAMS of 9 octets'],
  ['server FINISHED', `${VERIFY}03000b${zeros(11)}`, 'PARAMS of 11 octets'],
  ['client FINISHED', `${VERIFY}0400bf${zeros(191)}`, 'RESUME of 191 octets'],
  ['CONFIRM', VERIFY, 'VERIFY_DATA in CONFIRM'],
  ['CONFIRM', PARAMS, 'PARAMS in CONFIRM'],
  ['CONFIRM', RESUME, 'RESUME in CONFIRM'],
  ['CONFIRM', `050013${zeros(19)}`, 'SESSION of 19 octets'],
  ['CONFIRM', `050015${zeros(21)}`, 'SESSION of 21 octets'],
  ['CONFIRM', `${SESSION}060000`, 'RESUMED without a status'],
  ['CONFIRM', `${SESSION}060002 0000`, 'RESUMED of 2 octets'],
  ['CONFIRM', `060091 01 ${zeros(144)} 80001f ${zeros(31)}`, 'PROOF of 31 octets'],
];

t.test('blocks that are as they should be', async (t) => {
  for (const [place, text, name] of GOOD) t.equal(parseBlocks(fromHex(text), place).kind, 'blocks', name);
});

t.test('a bad block is error 1.0', async (t) => {
  for (const [place, text, name] of BAD) {
    const fault = parseBlocks(fromHex(text), place);
    t.match(fault, { kind: 'packet-fault', code: 'CONNECTION', detail: place }, name);
  }
});

t.test('cut anywhere but between two blocks it is bad', async (t) => {
  const whole = fromHex(`010002 0403 ${VERIFY}${PARAMS}${RESUME}800001 00`);
  const ends = new Set([0, 5, 40, 53, 248, 252]);
  for (let size = 0; size <= whole.length; size++) {
    const { kind } = parseBlocks(whole.subarray(0, size), 'client FINISHED');
    t.equal(kind, ends.has(size) ? 'blocks' : 'packet-fault', `${size} octets`);
  }
});
