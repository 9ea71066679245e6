// The opcodes of RFC 6455 section 5.2 and their names.

export const OPCODE = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** Opcodes 8-15 are control frames (section 5.5). */
export const isControl = (opcode: number): boolean => opcode >= 8;

export const isKnownOpcode = (opcode: number): boolean => opcode <= 2 || (opcode >= 8 && opcode <= 10);

const NAMES: Readonly<Record<number, string>> = {
  0: 'continuation',
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
};

export const opcodeName = (opcode: number): string => NAMES[opcode] ?? `reserved ${opcode}`;
