// What our own caller may send, as bytes; anything else is a TypeError at the call, so that no wrong or uninitialised byte leaves.

export type Payload = string | ArrayBuffer | ArrayBufferView;

export const bytesOf = (data: ArrayBuffer | ArrayBufferView): Uint8Array => {
  if (ArrayBuffer.isView(data)) {
    if (!(data.buffer instanceof ArrayBuffer)) throw new TypeError('shared memory cannot be sent: copy it first');
    if (data.byteLength === 0) refuseDetached(data.buffer);
    return data instanceof Uint8Array ? data : new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  }
  if (data instanceof ArrayBuffer) {
    if (data.byteLength === 0) refuseDetached(data);
    return new Uint8Array(data);
  }
  throw new TypeError(`a message must be a string, an ArrayBuffer or a view of one, not ${kindOf(data)}`);
};

const kindOf = (value: unknown): string =>
  value === null
    ? 'null'
    : typeof value === 'object'
      ? `an instance of ${value.constructor?.name ?? 'no class'}`
      : typeof value;

/** A detached buffer looks empty; sending nothing instead of what was meant would hide the mistake. */
const refuseDetached = (buffer: ArrayBuffer): void => {
  try {
    new Uint8Array(buffer);
  } catch {
    throw new TypeError('the buffer is detached: its content was transferred away');
  }
};
