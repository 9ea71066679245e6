// An HTTP head at the beginning of captured bytes → what it says about the frames after it: who sent them, and whether
// permessage-deflate was agreed. For people only; what a server accepts is decided elsewhere. Fields that carry secrets lose them.

export interface Head {
  readonly kind: 'request' | 'response';
  /** `GET /chat HTTP/1.1` or `HTTP/1.1 101 Switching Protocols`. */
  readonly first: string;
  readonly fields: readonly (readonly [name: string, value: string])[];
  /** Bytes, with the blank line. */
  readonly size: number;
  readonly complete: boolean;
  readonly status?: number;
  readonly deflate: boolean;
}

const SECRET: ReadonlySet<string> = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie']);
export const isSecretField = (name: string): boolean => SECRET.has(name.trim().toLowerCase());

/** A head longer than this is not looked for: the frames are what matters here. */
const LONGEST = 65536;

const isHead = (bytes: Uint8Array): boolean => {
  const start = Buffer.from(bytes.subarray(0, 8)).toString('latin1');
  return start.startsWith('HTTP/1.') || start.startsWith('GET ');
};

export const readHead = (bytes: Uint8Array): Head | undefined => {
  if (!isHead(bytes)) return undefined;
  const text = Buffer.from(bytes.subarray(0, LONGEST)).toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const complete = end >= 0;
  const [first = '', ...lines] = text.slice(0, complete ? end : text.length).split('\r\n');
  const fields = lines.map((line) => {
    const colon = line.indexOf(':');
    const name = colon < 0 ? line : line.slice(0, colon);
    return [name, isSecretField(name) ? '(hidden)' : colon < 0 ? '' : line.slice(colon + 1).trim()] as const;
  });
  const kind = first.startsWith('HTTP/') ? 'response' : 'request';
  const deflate = fields.some(
    ([name, value]) =>
      name.toLowerCase() === 'sec-websocket-extensions' && /(?:^|[,\s])permessage-deflate\b/i.test(value),
  );
  const status = kind === 'response' ? Number.parseInt(first.split(' ')[1] ?? '', 10) : Number.NaN;
  return {
    kind,
    first,
    fields,
    size: complete ? end + 4 : bytes.length,
    complete,
    deflate,
    ...(Number.isNaN(status) ? {} : { status }),
  };
};

/** The heads of the handshake: a capture may hold the request, the answer, or both one after the other. */
export const takeHeads = (bytes: Uint8Array): { heads: Head[]; at: number } => {
  const heads: Head[] = [];
  let at = 0;
  for (;;) {
    const head = readHead(bytes.subarray(at));
    if (head === undefined) return { heads, at };
    heads.push(head);
    at += head.size;
    if (!head.complete) return { heads, at };
  }
};
