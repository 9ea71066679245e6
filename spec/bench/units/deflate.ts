// Unit benches of permessage-deflate: one message there and one back, with and without the window kept between messages, and the same by
// documented API only.
import { seeded } from '../../../fixtures/rig/random.js';
import { Deflate } from '../../../lib/deflate/codec.js';
import { DEFLATE_DEFAULTS, type EngineName } from '../../../lib/deflate/settings.js';
import { bytesFigure } from '../figures.js';
import type { Unit } from '../stopwatch.js';
import { agreementOf, jsonText } from '../traffic.js';

const { level, memLevel } = DEFLATE_DEFAULTS;
/** As many different messages as a window holds, and no fewer than some. */
const DIFFERENT = 32;

const codecOf = (role: 'server' | 'client', takeover: boolean, engine: EngineName): Deflate =>
  new Deflate(role, agreementOf({ server: takeover, client: takeover }), { level, memLevel, engine });

const variants = [1024, 65_536].flatMap((size) =>
  ([true, false] as const).flatMap((takeover) =>
    (['auto', 'documented'] as const).flatMap((engine): Unit[] => {
      const random = seeded(3);
      const messages = Array.from({ length: DIFFERENT }, () => Buffer.from(jsonText(random, size), 'latin1'));
      const name = `${takeover ? 'takeover' : 'fresh'}${engine === 'auto' ? '' : ', documented API'}`;
      let out: Deflate | undefined;
      let back: Deflate | undefined;
      let packed: Buffer[] | undefined;
      let turn = 0;
      return [
        {
          group: `compress ${bytesFigure(size)} of JSON`,
          name,
          bytes: size,
          run(count) {
            out ??= codecOf('server', takeover, engine);
            let sum = 0;
            for (let i = 0; i < count; i++) sum += out.compress(messages[i % DIFFERENT] as Buffer).length;
            return sum;
          },
        },
        {
          group: `inflate ${bytesFigure(size)} of JSON`,
          name,
          bytes: size,
          run(count) {
            if (packed === undefined || back === undefined) {
              const sender = codecOf('client', takeover, 'auto');
              packed = messages.map((message) => Buffer.from(sender.compress(message)));
              sender.close();
              back = codecOf('server', takeover, engine);
            }
            let sum = 0;
            // The first message refers to nothing before it, so the row may come again and again; it goes on where it stopped.
            for (let i = 0; i < count; i++, turn++) sum += inflated(back, packed[turn % DIFFERENT] as Buffer);
            return sum;
          },
        },
      ];
    }),
  ),
);

const inflated = (codec: Deflate, bytes: Uint8Array): number => {
  const message = codec.inflate(bytes, 1 << 24);
  if ('kind' in message) throw new Error(message.code);
  return message.length;
};

export const DEFLATE_UNITS: readonly Unit[] = [
  ...variants.filter(({ group }) => group.startsWith('compress')),
  ...variants.filter(({ group }) => group.startsWith('inflate')),
];
