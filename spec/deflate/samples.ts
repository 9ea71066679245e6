// Messages for the specs of deflate: seeded, of the kinds that matter to a compressor.

import type { Random } from '../../fixtures/rig/random.js';
import type { DeflateAgreement } from '../../lib/deflate/parameters.js';

export function json(rng: Random, size: number): Uint8Array {
  let text = '';
  while (text.length < size)
    text += `{"id":${rng.int(1e6)},"user":"user${rng.int(900)}","ok":${rng.int(2) === 0},"price":${rng.int(1e5) / 100}},`;
  return Buffer.from(text.slice(0, size));
}

/** Empty, tiny, text, noise, zeros, or larger than any window. */
export function anyMessage(rng: Random): Uint8Array {
  switch (rng.int(8)) {
    case 0:
      return new Uint8Array(rng.int(2));
    case 1:
      return rng.bytes(rng.int(3000));
    case 2:
      return new Uint8Array(rng.int(5000));
    case 3:
      return json(rng, rng.int(70_000));
    default:
      return json(rng, rng.int(1500));
  }
}

export const agreement = (takeover: boolean, bits = 15): DeflateAgreement => ({
  serverNoContext: !takeover,
  clientNoContext: !takeover,
  serverBits: bits,
  clientBits: bits,
});
