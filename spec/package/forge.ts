// Tokens as nobody's library would write them: any header, any payload, any signature. And one scene with a key of each kind.
import { createHmac, type KeyObject, sign } from 'node:crypto';
import { makeNodeKey, secretFrom } from '../../lib/crypto/package-keys.js';
import { KeyRing } from '../../lib/package/key-ring.js';
import type { Grant, JsonObject, KeyRecord } from '../../lib/package/package.js';
import { nodeVerifier } from '../../lib/package/token-node.js';

export const WALL = 1_700_000_000_000;
export const SECRET: Uint8Array = Uint8Array.from({ length: 32 }, (_, at) => at);
export const PAIR: ReturnType<typeof makeNodeKey> = makeNodeKey();

export const base64url = (text: string | Uint8Array): string =>
  Buffer.from(typeof text === 'string' ? Buffer.from(text) : text).toString('base64url');

export const hs256 = (signed: string, secret: Uint8Array = SECRET): string =>
  createHmac('sha256', secret).update(signed).digest('base64url');

export const es256 = (signed: string, key: KeyObject = PAIR.privateKey): string =>
  sign('sha256', Buffer.from(signed), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url');

export const HS_HEADER = '{"alg":"HS256","typ":"JWT","kid":"svc-a.1"}';
export const ES_HEADER = '{"alg":"ES256","typ":"JWT","kid":"svc-b.1"}';

/** Signed with SECRET, whatever the header says. */
export const forge = (payload: string | Uint8Array, header: string = HS_HEADER): string => {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return `${signed}.${hs256(signed)}`;
};

/** Signed with the private half of PAIR. */
export const forgeEs = (payload: string, header: string = ES_HEADER): string => {
  const signed = `${base64url(header)}.${base64url(payload)}`;
  return `${signed}.${es256(signed)}`;
};

export const HEADER: JsonObject = { scope: 1000, internal: true, body: false };

export const payloadOf = (more: JsonObject = {}): string =>
  JSON.stringify({
    header: HEADER,
    iss: 'svc-a',
    iat: WALL / 1000,
    exp: WALL / 1000 + 60,
    jti: 'AAAAAAAAAAE',
    ...more,
  });

export const record = (kid: string, grant: Partial<Grant> = {}): KeyRecord => ({
  kid,
  node: 'svc-a',
  role: 'service',
  verifier: nodeVerifier('HS256', secretFrom(SECRET)),
  ...grant,
});

/** svc-a.1 signs by HS256, svc-b.1 by ES256. */
export const ringOf = (grant: Partial<Grant> = {}): KeyRing =>
  new KeyRing(
    () => WALL,
    [
      record('svc-a.1', grant),
      { ...record('svc-b.1', { node: 'svc-b' }), verifier: nodeVerifier('ES256', PAIR.publicKey) },
    ],
  );
