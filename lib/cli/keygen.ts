// `wsd keygen`: a key and a certificate, signed by itself or by a CA that was made the same way, in two files or on stdout; and what others need
// to trust it. The clock is read here and nowhere below.
import { type CertificateIssuer, type CertificateOptions, type MadeCertificate, makeCertificate } from '../index.js';
import { type Command, CommandError, EXIT, type Io, UsageError } from './command.js';
import { type Flag, type Flags, longFlags, parseFlags, writeFlags } from './flags.js';
import { writeHints } from './hints.js';
import { hintsFor, jsonCertificate, reportCertificate, type Written } from './keygen-report.js';
import { readFileOrSay } from './read-file.js';
import { styleFor } from './style.js';
import { writeFiles } from './write-files.js';

const TYPES = ['p256', 'ed25519', 'rsa2048'] as const;
const USAGES = ['server', 'client'] as const;

const FLAGS: readonly Flag[] = [
  { name: 'out', short: 'o', value: 'PATH', help: 'write PATH-key.pem and PATH-cert.pem (default wsd, or ca)' },
  { name: 'usage', choices: USAGES, help: 'who may show the certificate (default both)' },
  { name: 'subject', value: 'TEXT', help: 'the common name, for people and logs (default the first NAME)' },
  { name: 'type', choices: TYPES, help: 'the kind of key (default p256; pages can pin no other)' },
  { name: 'days', value: 'N', help: 'how long it is valid (default 365, of a CA 3650)' },
  { name: 'make-ca', help: 'make a CA, which signs other certificates' },
  { name: 'ca', value: 'FILE', help: 'have it signed by this CA: its certificate' },
  { name: 'ca-key', value: 'FILE', help: 'and its private key' },
  { name: 'force', short: 'f', help: 'replace files that are there' },
  { name: 'stdout', help: 'no files: key and certificate go to stdout' },
  { name: 'json', help: 'one JSON object on stdout' },
];

const USAGE = 'wsd keygen [NAME…] [options]';

const HELP = `usage: ${USAGE}

Makes a private key and an X.509 certificate. NAME is what a server is reached by, a DNS name or an
address (default localhost, 127.0.0.1 and ::1). Without --ca the certificate signs itself: it is trusted
by those who know its pin.

${writeFlags(FLAGS)}

examples:
  wsd keygen                                              for trying things out on this machine
  wsd keygen --make-ca --subject 'our CA'
  wsd keygen chat.example.com --ca ca-cert.pem --ca-key ca-key.pem
  wsd keygen --usage client --subject alice --out alice --ca ca-cert.pem --ca-key ca-key.pem

exit code: 0 made, 1 nothing was made, 2 usage
`;

const LOCAL: readonly string[] = ['localhost', '127.0.0.1', '::1'];

const run = async (args: readonly string[], io: Io): Promise<number> => {
  const flags = parseFlags(FLAGS, args);
  if (flags.has('stdout') && (flags.has('out') || flags.has('force'))) {
    throw new UsageError('--stdout writes no files: it excludes --out and --force');
  }
  const options = await readOptions(flags);
  const made = make(options);
  const written = flags.has('stdout') ? undefined : filesOf(flags, options);
  if (written !== undefined) {
    // The key is nobody's but ours; a certificate is for everybody.
    const key = { path: written.key, text: made.keyPem, mode: 0o600 };
    await writeFiles([key, { path: written.certificate, text: made.certificatePem, mode: 0o644 }], flags.has('force'));
  }
  tell(made, options, written, flags.has('json'), io);
  return EXIT.ok;
};

const readOptions = async (flags: Flags): Promise<CertificateOptions> => {
  const ca = flags.has('make-ca');
  const usage = flags.oneOf('usage', USAGES);
  const type = flags.oneOf('type', TYPES);
  const days = flags.integer('days', 1, 36_500);
  if (ca && usage !== undefined) throw new UsageError('a CA is shown by nobody: --make-ca excludes --usage');
  if (ca && flags.positionals.length > 0) {
    throw new UsageError('a CA is reached by no name: call it something with --subject');
  }
  const subject = flags.text('subject') ?? (ca ? 'wsd CA' : undefined);
  const isClient = usage === 'client';
  if (isClient && subject === undefined && flags.positionals.length === 0) {
    throw new UsageError('say who the client is with --subject');
  }
  const names = flags.positionals.length === 0 && !ca && !isClient ? LOCAL : flags.positionals;
  return {
    now: Date.now(),
    names,
    subject,
    days,
    type,
    ca,
    usage: usage === undefined ? undefined : [usage],
    issuer: await readIssuer(flags),
  };
};

const readIssuer = async (flags: Flags): Promise<CertificateIssuer | undefined> => {
  const certificateFile = flags.text('ca');
  const keyFile = flags.text('ca-key');
  if ((certificateFile === undefined) !== (keyFile === undefined))
    throw new UsageError('--ca and --ca-key go together');
  if (certificateFile === undefined || keyFile === undefined) return undefined;
  // One after the other: of two that are missing, always the same is named.
  const certificate = await readFileOrSay(certificateFile);
  const key = await readFileOrSay(keyFile);
  return { certificate, key };
};

const make = (options: CertificateOptions): MadeCertificate => {
  try {
    return makeCertificate(options);
  } catch (error) {
    // A value out of range came with the words of the command, anything else from the files of the CA.
    if (error instanceof RangeError) throw new UsageError(error.message);
    if (error instanceof TypeError) throw new CommandError(error.message, { cause: error });
    throw error;
  }
};

const filesOf = (flags: Flags, { ca }: CertificateOptions): Written => {
  const out = flags.text('out') ?? (ca === true ? 'ca' : 'wsd');
  return { key: `${out}-key.pem`, certificate: `${out}-cert.pem` };
};

const tell = (
  made: MadeCertificate,
  options: CertificateOptions,
  written: Written | undefined,
  json: boolean,
  io: Io,
): void => {
  if (json) {
    io.stdout.write(`${jsonCertificate(made, options, written)}\n`);
    return;
  }
  if (written === undefined) io.stdout.write(made.keyPem + made.certificatePem);
  const out = written === undefined ? io.stderr : io.stdout;
  out.write(`${reportCertificate(made, options, written, styleFor(out, io.env)).join('\n')}\n`);
  writeHints(io, hintsFor(made, options, written));
};

export const keygen: Command = {
  name: 'keygen',
  summary: 'make a key and a certificate, signed by itself or by a CA',
  usage: USAGE,
  help: HELP,
  flags: longFlags(FLAGS),
  run,
};
