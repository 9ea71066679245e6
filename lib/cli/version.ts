// The version, from package.json, which lies three folders above the compiled file.
import { readFileSync } from 'node:fs';

const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');

export const version: string = (JSON.parse(text) as { readonly version: string }).version;
