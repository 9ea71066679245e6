// Octet strings as values: copied and compared. No secret is compared here: that is the suite's.

/** Its own memory. `slice()` would not do: of a Buffer it is a view. */
export const copyOf = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes);

/** In a time that tells where they differ. */
export const sameOctets = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((octet, at) => octet === b[at]);
