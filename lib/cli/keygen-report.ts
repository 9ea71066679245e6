// What `wsd keygen` made → words: a table for people, one object for programs, and the next commands to type. Never the private key, unless
// there is no file of it.
import type { CertificateOptions, MadeCertificate } from '../index.js';
import { quoted } from './shell.js';
import type { Style } from './style.js';
import { escapeControl, hexOf } from './terminal.js';

/** The files; none when everything went to stdout. */
export interface Written {
  readonly key: string;
  readonly certificate: string;
}

/** What a peer takes by default: PROTOCOL.md section 10. */
const LONGEST_CERTIFICATE = 4096;

const timeOf = (at: number | undefined): string =>
  at === undefined ? '' : `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')} UTC`;

export const reportCertificate = (
  { info, publicKey, certificate }: MadeCertificate,
  { ca, issuer }: CertificateOptions,
  written: Written | undefined,
  style: Style,
): string[] => {
  const rows: (readonly [string, string])[] = [];
  if (written !== undefined) {
    rows.push(['key', `${written.key} (mode 0600: show it to nobody)`], ['certificate', written.certificate]);
  }
  rows.push(['subject', info.subject ?? ''], ['signed by', issuer === undefined ? 'itself' : (info.issuer ?? '')]);
  const names = info.names ?? [];
  if (names.length > 0) rows.push(['names', names.join(', ')]);
  rows.push(['valid until', timeOf(info.validTo)]);
  if (ca !== true) {
    rows.push(['pin', info.fingerprint]);
    if (publicKey !== undefined) rows.push(['public key', hexOf(publicKey, '')]);
  }
  const lines = rows.map(([left, right]) => `${style.dim(left.padEnd(13))}${escapeControl(right)}`);
  if (certificate.length > LONGEST_CERTIFICATE) {
    lines.push(style.yellow(`${certificate.length} bytes are more than a session takes by default: use fewer names`));
  }
  return lines;
};

export const hintsFor = (
  { info, publicKey }: MadeCertificate,
  { ca, usage, issuer }: CertificateOptions,
  written: Written | undefined,
): string[] => {
  if (written === undefined) return [];
  const [key, certificate] = [quoted(written.key), quoted(written.certificate)];
  if (ca === true) {
    return [
      `wsd keygen chat.example.com --ca ${certificate} --ca-key ${key}`,
      `wsd connect --packets --anchor ${certificate} URL`,
    ];
  }
  const lines: string[] = [];
  const own = `--packet-cert ${certificate} --packet-key ${key}`;
  const trusted = issuer === undefined ? `--pin ${info.fingerprint}` : '--anchor CA';
  if (usage?.includes('server') !== false) {
    lines.push(`wsd serve --echo --packets ${own}`, `wsd connect --packets ${trusted} URL`);
    lines.push(`wsd serve --echo --tls-cert ${certificate} --tls-key ${key}`);
  } else {
    lines.push(`wsd connect --packets ${own} --pin SERVER URL`);
    if (issuer === undefined) lines.push(`a server trusts it with: --client-certificate required ${trusted}`);
  }
  if (issuer === undefined && publicKey !== undefined) {
    lines.push('a page needs both: pins: [{ sha256: PIN, publicKey: PUBLIC_KEY }]');
  }
  return lines.map((line) => escapeControl(line));
};

export const jsonCertificate = (
  { info, publicKey, keyPem, certificatePem }: MadeCertificate,
  { ca }: CertificateOptions,
  written: Written | undefined,
): string =>
  JSON.stringify({
    ...(written === undefined
      ? { key: keyPem, certificate: certificatePem }
      : { keyFile: written.key, certificateFile: written.certificate }),
    subject: info.subject,
    issuer: info.issuer,
    serialNumber: info.serialNumber,
    names: info.names,
    validFrom: info.validFrom === undefined ? undefined : new Date(info.validFrom).toISOString(),
    validTo: info.validTo === undefined ? undefined : new Date(info.validTo).toISOString(),
    ca: ca === true,
    pin: info.fingerprint,
    publicKey: publicKey === undefined ? undefined : hexOf(publicKey, ''),
  });
