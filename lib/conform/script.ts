// One line of a fixture → one step of a case, or one expected event. The form is described in fixtures/conformance/README.md.
// A line that cannot be read is a mistake in our own file, so it throws. Knows no connection.
import { OPCODE } from '../frame/opcode.js';
import type { Expected, Step } from './case.js';
import { parsePayload } from './payload.js';

const OPCODES: ReadonlyMap<string, number> = new Map([
  ['more', OPCODE.continuation],
  ['text', OPCODE.text],
  ['binary', OPCODE.binary],
  ['ping', OPCODE.ping],
  ['pong', OPCODE.pong],
]);

/** A word and a trailing +, which says that more frames of the message follow. */
const parseOpcode = (word: string): { readonly opcode: number; readonly fin: boolean } => {
  const fin = !word.endsWith('+');
  const name = fin ? word : word.slice(0, -1);
  const opcode = OPCODES.get(name) ?? (name.startsWith('op') ? Number(name.slice(2)) : Number.NaN);
  if (!(opcode >= 0 && opcode <= 15)) throw new TypeError(`not an opcode: ${word}`);
  return { opcode, fin };
};

/** The flags of a frame, and what is left of the line as its payload. */
const parseFrame = (opcodeWord: string, rest: string): Step => {
  let rsv = 0;
  let chop = 0;
  let alone = false;
  let left = rest;
  for (;;) {
    const [word, after] = cut(left);
    if (word.startsWith('rsv')) rsv = Number(word.slice(3));
    else if (word.startsWith('chop')) chop = Number(word.slice(4));
    else if (word === 'alone') alone = true;
    // late: after our own Close. Said for the reader; every step is played until TCP is gone.
    else if (word !== 'late') break;
    left = after;
  }
  return { do: 'frame', ...parseOpcode(opcodeWord), rsv, chop, alone, payload: parsePayload(left) };
};

const cut = (text: string): [word: string, rest: string] => {
  const space = text.indexOf(' ');
  return space < 0 ? [text, ''] : [text.slice(0, space), text.slice(space + 1)];
};

const seconds = (text: string): number => {
  const value = Number(text);
  if (!(value > 0)) throw new TypeError(`not a number of seconds: ${text}`);
  return Math.round(value * 1000);
};

export const parseStep = (line: string): Step => {
  const [word, rest] = cut(line);
  switch (word) {
    case 'message': {
      const [type, after] = cut(rest);
      const [by, last] = cut(after);
      const cutUp = by.startsWith('by');
      return {
        do: 'message',
        binary: type === 'binary',
        fragment: cutUp ? Number(by.slice(2)) : 0,
        payload: parsePayload(cutUp ? last : after),
      };
    }
    case 'header': {
      const [opcode, length] = cut(rest);
      return { do: 'header', ...parseOpcode(opcode), length: Number(length) };
    }
    case 'bytes':
      return { do: 'bytes', payload: parsePayload(rest) };
    case 'close':
      return { do: 'close', payload: parsePayload(rest) };
    case 'wait': {
      const [time, tag] = cut(rest);
      return { do: 'wait', ms: seconds(time), tag: tag === '' ? undefined : tag };
    }
    case 'within': {
      const [time, words] = cut(rest);
      return { do: 'timer', ms: seconds(time), otherwise: words === 'else fail' ? 'fail' : 'close' };
    }
    default:
      return parseFrame(word, rest);
  }
};

export const parseExpected = (line: string): Expected => {
  const [word, rest] = cut(line);
  if (word === 'timeout') return { event: 'timeout', tag: rest };
  if (word === 'text' || word === 'binary' || word === 'pong') return { event: word, payload: parsePayload(rest) };
  throw new TypeError(`not an event: ${line}`);
};
