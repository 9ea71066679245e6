// The TLS certificate that `wsd serve` shows → what a client has to be told so that it trusts it: nothing, unless it is signed by itself.
import { readFile } from 'node:fs/promises';
import type { ListenConfig } from '../daemon/index.js';
import { certificateInfo } from '../index.js';
import type { Flags } from './flags.js';

/** The file that a client trusts with `--ca`. What is wrong with a certificate is told by who listens with it, not here. */
export const selfSigned = async (flags: Flags, listen: ListenConfig = {}): Promise<string | undefined> => {
  const file = flags.text('tls-cert') ?? listen.tls?.certificate;
  if (file === undefined) return undefined;
  try {
    const { subject, issuer } = certificateInfo(await readFile(file));
    return subject === issuer ? file : undefined;
  } catch {
    return undefined;
  }
};
