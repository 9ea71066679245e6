// JSON text → its value, and where each member of it stands: so that what is wrong with a file can be told by line and column. Stricter than
// JSON.parse: a member that stands twice is refused, since a reader of the file would believe the one and we the other. Quotes nothing of the
// text in its errors: some of these files hold keys. RFC 8259.

/** Both count from 1, as editors do; a column is a UTF-16 unit. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export class JsonTextError extends Error {
  override readonly name = 'JsonTextError';
  readonly place: Place;

  constructor(message: string, place: Place) {
    super(message);
    this.place = place;
  }
}

type Path = readonly PropertyKey[];

export interface JsonText {
  readonly value: unknown;
  /** Of the value at this path; of the nearest one around it where it is missing. */
  placeOf(path: Path): Place;
  /** Of the member's name, which is where people look for what is unknown. */
  placeOfName(path: Path): Place;
  /** Every path there is. */
  readonly paths: Iterable<Path>;
}

/** Deeper ones are written by nobody. */
const MAX_DEPTH = 64;
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORDS: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

const keyOf = (path: Path): string => JSON.stringify(path);

class Reader {
  readonly #text: string;
  #at = 0;
  readonly values = new Map<string, number>();
  readonly names = new Map<string, number>();

  constructor(text: string) {
    this.#text = text;
    // A byte order mark, as some editors write it.
    if (text.charCodeAt(0) === 0xfeff) this.#at = 1;
  }

  read(): unknown {
    const value = this.#value([]);
    this.#space();
    if (this.#at < this.#text.length) throw this.#wrong('nothing may follow the end of the value');
    return value;
  }

  place(at: number): Place {
    const before = this.#text.slice(0, at);
    const line = before.lastIndexOf('\n');
    return { line: before.split('\n').length, column: at - line };
  }

  #wrong(message: string, at = this.#at): JsonTextError {
    return new JsonTextError(at >= this.#text.length ? `${message}, but the file ends` : message, this.place(at));
  }

  #space(): void {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === '/' || char === '#') throw this.#wrong('JSON has no comments');
      if (char !== ' ' && char !== '\n' && char !== '\r' && char !== '\t') return;
      this.#at++;
    }
  }

  #value(path: Path): unknown {
    this.#space();
    if (path.length > MAX_DEPTH) throw this.#wrong(`more than ${MAX_DEPTH} objects and lists in one another`);
    this.values.set(keyOf(path), this.#at);
    switch (this.#text[this.#at]) {
      case '{':
        return this.#object(path);
      case '[':
        return this.#list(path);
      case '"':
        return this.#string();
      default:
        return this.#word();
    }
  }

  #object(path: Path): unknown {
    const members: [string, unknown][] = [];
    const seen = new Set<string>();
    this.#items('}', 'a comma or } is expected', () => {
      if (this.#text[this.#at] !== '"') throw this.#wrong('a name in quotation marks is expected');
      const at = this.#at;
      const name = this.#string();
      if (seen.has(name)) throw this.#wrong('this member stands here twice', at);
      seen.add(name);
      const inner = [...path, name];
      this.names.set(keyOf(inner), at);
      this.#space();
      if (this.#text[this.#at] !== ':') throw this.#wrong('a colon is expected');
      this.#at++;
      members.push([name, this.#value(inner)]);
    });
    // fromEntries makes a member of __proto__, as JSON.parse does.
    return Object.fromEntries(members);
  }

  #list(path: Path): unknown {
    const items: unknown[] = [];
    this.#items(']', 'a comma or ] is expected', () => void items.push(this.#value([...path, items.length])));
    return items;
  }

  #items(end: string, expected: string, read: () => void): void {
    this.#at++;
    this.#space();
    if (this.#text[this.#at] === end) {
      this.#at++;
      return;
    }
    for (;;) {
      read();
      this.#space();
      const char = this.#text[this.#at];
      if (char !== ',' && char !== end) throw this.#wrong(expected);
      const at = this.#at++;
      if (char === end) return;
      this.#space();
      if (this.#text[this.#at] === end) throw this.#wrong(`no comma may stand before ${end}`, at);
    }
  }

  #string(): string {
    const from = this.#at;
    for (let at = from + 1; at < this.#text.length; at++) {
      const code = this.#text.charCodeAt(at);
      if (code === 0x5c) at++;
      else if (code === 0x22) {
        this.#at = at + 1;
        return this.#decode(from);
      } else if (code < 0x20) throw this.#wrong('a text ends on its line, and control characters are escaped', at);
    }
    throw this.#wrong('this text has no end', from);
  }

  #decode(from: number): string {
    try {
      return JSON.parse(this.#text.slice(from, this.#at)) as string;
    } catch {
      throw this.#wrong('an escape in this text is not valid', from);
    }
  }

  #word(): unknown {
    NUMBER.lastIndex = this.#at;
    const word = NUMBER.exec(this.#text)?.[0] ?? /^[a-z]+/.exec(this.#text.slice(this.#at, this.#at + 6))?.[0] ?? '';
    const next = this.#text[this.#at + word.length] ?? ' ';
    const known = WORDS.has(word) || /^[-\d]/.test(word);
    if (!known || /[\w.+-]/.test(next))
      throw this.#wrong('a value is expected: "text", number, true, false, null, { or [');
    this.#at += word.length;
    return WORDS.has(word) ? WORDS.get(word) : Number(word);
  }
}

/** Throws a JsonTextError. */
export const parseJsonText = (text: string): JsonText => {
  const reader = new Reader(text);
  const value = reader.read();
  const nearest = (path: Path): number => {
    for (let length = path.length; length > 0; length--) {
      const at = reader.values.get(keyOf(path.slice(0, length)));
      if (at !== undefined) return at;
    }
    return reader.values.get('[]') ?? 0;
  };
  return {
    value,
    placeOf: (path) => reader.place(nearest(path)),
    placeOfName: (path) => reader.place(reader.names.get(keyOf(path)) ?? nearest(path)),
    paths: [...reader.values.keys()].map((key) => JSON.parse(key) as Path),
  };
};
