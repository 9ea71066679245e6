// The flags of `wsd serve` that are options of createServer: their sentences come from the options, their values go there.
import { describeOptions, type ServerOptions } from '../index.js';
import type { Flag, Flags } from './flags.js';

/** Options of createServer that are one number: their flag, and what the number counts. The sentences come from the options. */
const NUMBERS = {
  maxMessage: 'bytes',
  maxBuffered: 'bytes',
  maxConnections: 'integer',
  maxPerAddress: 'integer',
  handshakeTimeout: 'ms',
  messageTimeout: 'ms',
  closeTimeout: 'ms',
  pingInterval: 'ms',
  pingTimeout: 'ms',
  idleTimeout: 'ms',
} as const;
type NumberOption = keyof typeof NUMBERS;

const flagOf = (option: string): string => option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);

export const numberFlags = (): Flag[] => {
  const described = new Map(describeOptions('server').map((option) => [option.name, option]));
  return (Object.keys(NUMBERS) as NumberOption[]).map((option) => {
    const row = described.get(option);
    const kind = NUMBERS[option];
    const value = kind === 'bytes' ? 'BYTES' : kind === 'ms' ? 'MS' : 'N';
    return { name: flagOf(option), value, help: `${row?.text ?? option} (default ${showDefault(row?.default, kind)})` };
  });
};

const showDefault = (value: unknown, kind: 'bytes' | 'integer' | 'ms'): string => {
  if (typeof value !== 'number') return 'none';
  if (kind === 'bytes' && value % 1048576 === 0) return `${value / 1048576}m`;
  if (kind === 'ms' && value >= 1000 && value % 1000 === 0) return `${value / 1000}s`;
  return String(value);
};

export const readOptions = (flags: Flags): ServerOptions => {
  const numbers: Record<string, number> = {};
  for (const option of Object.keys(NUMBERS) as NumberOption[]) {
    const name = flagOf(option);
    const kind = NUMBERS[option];
    const value =
      kind === 'bytes' ? flags.bytes(name) : kind === 'ms' ? flags.duration(name) : flags.integer(name, 1, 2 ** 31);
    if (value !== undefined) numbers[option] = value;
  }
  const paths = flags.all('path');
  const origins = flags.all('origin');
  const subprotocols = flags.all('subprotocol');
  return {
    ...numbers,
    ...(paths.length === 0 ? {} : { path: paths }),
    ...(origins.length === 0 ? {} : { origins: origins.includes('any') ? 'any' : origins }),
    ...(subprotocols.length === 0 ? {} : { subprotocols }),
    ...(flags.has('deflate') ? { deflate: true } : {}),
  };
};
