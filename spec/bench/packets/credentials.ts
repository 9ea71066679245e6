// Who the two ends of a measurement are: made once, and handed to both processes as JSON.
import { makeCertificate } from '../../../lib/crypto/make-certificate.js';

export interface Credential {
  readonly certificate: string;
  readonly key: string;
  readonly fingerprint: string;
}

export interface Credentials {
  readonly server: Credential;
  readonly client: Credential;
}

const make = (subject: string, names: readonly string[]): Credential => {
  const { certificatePem, keyPem, info } = makeCertificate({ now: Date.now(), subject, names });
  return { certificate: certificatePem, key: keyPem, fingerprint: info.fingerprint };
};

export const makeCredentials = (): Credentials => ({
  server: make('server', ['127.0.0.1']),
  client: make('client', []),
});
