// What `wsd decode --layer package --json` writes: one object a line, names as in the public types.
import type { ExplainedPackage, Sender } from '../index.js';

export interface DecodedPackage {
  readonly index: number;
  readonly sender: Sender | undefined;
  readonly explained: ExplainedPackage;
}

/** ASCII alone: JSON leaves characters as they are that a terminal obeys. */
const ascii = (json: string): string =>
  json.replace(/[^ -~]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);

export const jsonPackage = ({ index, sender, explained }: DecodedPackage): string =>
  ascii(JSON.stringify({ type: 'package', index, sender, ...explained }));

/** `outside`: what is wrong with the frames around the packages. */
export const jsonPackageEnd = (packages: readonly DecodedPackage[], outside: readonly string[]): string =>
  JSON.stringify({
    type: 'end',
    packages: packages.length,
    notVerified: packages.filter(({ explained }) => explained.signature === 'no key').length,
    faults: packages.reduce((sum, { explained }) => sum + explained.faults.length, 0) + outside.length,
    outside,
  });
