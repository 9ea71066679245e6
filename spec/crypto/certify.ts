// Certificates for specs, good ones and such as nobody should make: everything of a good leaf, but for what is wished otherwise.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { bitString, objectId, sequence, truth, unsigned } from '../../lib/crypto/der.js';
import { writeGeneralName } from '../../lib/crypto/general-name.js';
import { EXTENSION, PURPOSE } from '../../lib/crypto/x509-extensions.js';
import {
  algorithmOf,
  commonName,
  type Extension,
  type SignatureAlgorithm,
  writeCertificate,
} from '../../lib/crypto/x509-write.js';

export const NOW: number = Date.parse('2030-06-15T12:00:00Z');
export const DAY = 86_400_000;

export interface Keys {
  readonly publicKey: KeyObject;
  readonly privateKey: KeyObject;
}

export const curve = (namedCurve: string): Keys => generateKeyPairSync('ec', { namedCurve });
export const rsa = (modulusLength: number): Keys => generateKeyPairSync('rsa', { modulusLength });
export const ed25519 = (): Keys => generateKeyPairSync('ed25519');

export const basic = (ca: boolean, pathLength?: number): Extension => ({
  id: EXTENSION.basicConstraints,
  critical: true,
  value: sequence(...(ca ? [truth()] : []), ...(pathLength === undefined ? [] : [unsigned(Uint8Array.of(pathLength))])),
});
export const usage = (bits: number): Extension => ({
  id: EXTENSION.keyUsage,
  critical: true,
  value: bitString(Uint8Array.of(bits)),
});
export const purposes = (...ids: readonly string[]): Extension => ({
  id: EXTENSION.extendedKeyUsage,
  value: sequence(...ids.map(objectId)),
});
export const names = (...texts: readonly string[]): Extension => ({
  id: EXTENSION.subjectAltName,
  value: sequence(...texts.map(writeGeneralName)),
});

export const LEAF: readonly Extension[] = [
  basic(false),
  usage(0x80),
  purposes(PURPOSE.server, PURPOSE.client),
  names('chat.example.com', '*.wild.example.com', '192.0.2.1', '2001:db8::1'),
];
export const CA: readonly Extension[] = [basic(true), usage(0x06)];

/** The same list with one of its extensions exchanged, or with one more. */
export const withExtension = (list: readonly Extension[], one: Extension): Extension[] => [
  ...list.filter(({ id }) => id !== one.id),
  one,
];
export const without = (list: readonly Extension[], id: string): Extension[] => list.filter((one) => one.id !== id);

export interface Wish {
  readonly keys: Keys;
  readonly subject?: string;
  /** Signs itself without it. */
  readonly issuer?: { readonly subject: string; readonly keys: Keys };
  readonly from?: number;
  readonly to?: number;
  readonly extensions?: readonly Extension[];
  readonly serial?: Uint8Array;
  readonly algorithm?: SignatureAlgorithm;
}

export const certify = (wish: Wish): Uint8Array => {
  const subject = wish.subject ?? 'chat.example.com';
  const signer = wish.issuer?.keys.privateKey ?? wish.keys.privateKey;
  return writeCertificate(
    {
      serial: wish.serial ?? Uint8Array.of(1),
      issuer: commonName(wish.issuer?.subject ?? subject),
      subject: commonName(subject),
      validFrom: wish.from ?? NOW - DAY,
      validTo: wish.to ?? NOW + DAY,
      spki: wish.keys.publicKey.export({ type: 'spki', format: 'der' }),
      extensions: wish.extensions ?? LEAF,
    },
    signer,
    wish.algorithm ?? algorithmOf(signer),
  );
};
