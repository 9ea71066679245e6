// Why nothing could be opened → one sentence for a person, and which word of the command may help. What a peer wrote is escaped by whoever
// shows it.
import type { WsdError } from '../index.js';

const REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nobody listens there',
  ENOENT: 'there is no such socket',
  EACCES: 'that is not allowed',
  ENOTFOUND: 'the name is not known',
  EAI_AGAIN: 'the name cannot be looked up now',
  ETIMEDOUT: 'there is no answer',
  EHOSTUNREACH: 'there is no way to it',
  ENETUNREACH: 'there is no way to it',
};

const codeOf = (error: WsdError): string => {
  const code = (error.cause as { readonly code?: unknown } | undefined)?.code;
  return typeof code === 'string' ? code : '';
};

/** To stand behind `cannot connect to URL: `, which has said the half of it. */
export const dialReason = (error: WsdError): string => {
  if (error.code !== 'WSD_DIAL_CONNECT') return error.message;
  const [, proxy = '', detail = ''] = /^could not connect(?:: (the proxy: )?(.*))?$/s.exec(error.message) ?? [];
  const reason = REASONS[codeOf(error)];
  const system = detail.replaceAll(/\b(?:connect|getaddrinfo) (?=E[A-Z])/g, '');
  return reason === undefined ? `${proxy}${system}` : `${proxy}${reason} (${system})`;
};

/** No authority that this machine trusts has signed it. */
const UNTRUSTED: ReadonlySet<string> = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
]);

export const isUntrusted = (code: string): boolean => UNTRUSTED.has(code);

export const TRUST_HINT = '--ca FILE trusts its certificate, or the CA that signed it';

export const trustHint = (error: WsdError): string | undefined =>
  error.code === 'WSD_DIAL_TLS' && isUntrusted(codeOf(error)) ? TRUST_HINT : undefined;
