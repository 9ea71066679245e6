// One message ↔ one complete raw DEFLATE stream (RFC 1951) by pako. PROTOCOL.md section 3.3: inflating stops at the limit, reaches the end of
// the stream and leaves nothing over; the package's one-shot functions check none of these. No context is kept between messages.

import * as pako from 'pako';

export const portableDeflate = (bytes: Uint8Array): Uint8Array => {
  const out = pako.deflateRaw(bytes);
  // Not a view into a larger piece of memory.
  return out.length === out.buffer.byteLength ? out : out.slice();
};

/** The first room for the output; doubled as long as the stream goes on. */
const ROOM = 4096;

export const portableInflate = (bytes: Uint8Array, limit: number): Uint8Array | undefined => {
  // One octet more than the limit: so a stream that ends at the limit differs from one that goes on.
  const most = limit + 1;
  let room = new Uint8Array(Math.min(most, ROOM));
  const stream = new pako.ZStream();
  if (pako.zlibInflateInit2(stream, -15) !== pako.Z_OK) return undefined;
  stream.input = bytes;
  stream.avail_in = bytes.length;
  stream.output = room;
  stream.avail_out = room.length;
  for (;;) {
    const status = pako.zlibInflate(stream, pako.Z_FINISH);
    if (status === pako.Z_STREAM_END) break;
    // Broken; or cut: there is room, and nothing more to read.
    if (status !== pako.Z_BUF_ERROR || stream.avail_out > 0) return undefined;
    if (room.length === most) return undefined;
    const larger = new Uint8Array(Math.min(most, room.length * 2));
    larger.set(room);
    room = larger;
    stream.output = room;
    stream.avail_out = room.length - stream.next_out;
  }
  return stream.avail_in === 0 && stream.next_out <= limit ? room.slice(0, stream.next_out) : undefined;
};
