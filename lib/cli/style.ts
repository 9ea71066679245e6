// Colour, or none: decided once per stream from the environment and from whether a terminal is at the other end.
// https://no-color.org; FORCE_COLOR as Node itself reads it. Only the sixteen colours every terminal theme has tuned.
import type { Out } from './command.js';

export type Paint = (text: string) => string;

export interface Style {
  readonly colour: boolean;
  readonly bold: Paint;
  readonly dim: Paint;
  readonly red: Paint;
  readonly green: Paint;
  readonly yellow: Paint;
  readonly blue: Paint;
  readonly magenta: Paint;
  readonly cyan: Paint;
}

type Env = Readonly<Record<string, string | undefined>>;

export const wantsColour = (out: Out, env: Env): boolean => {
  const force = env['FORCE_COLOR'];
  if (force !== undefined) return force !== '0' && force !== 'false';
  const no = env['NO_COLOR'];
  if (no !== undefined && no !== '') return false;
  return out.isTTY === true && env['TERM'] !== 'dumb';
};

const plain: Paint = (text) => text;
const paint =
  (on: number, off: number): Paint =>
  (text) =>
    text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`;

const PLAIN: Style = {
  colour: false,
  bold: plain,
  dim: plain,
  red: plain,
  green: plain,
  yellow: plain,
  blue: plain,
  magenta: plain,
  cyan: plain,
};

const COLOURED: Style = {
  colour: true,
  bold: paint(1, 22),
  dim: paint(2, 22),
  red: paint(31, 39),
  green: paint(32, 39),
  yellow: paint(33, 39),
  blue: paint(34, 39),
  magenta: paint(35, 39),
  cyan: paint(36, 39),
};

export const styleFor = (out: Out, env: Env): Style => (wantsColour(out, env) ? COLOURED : PLAIN);
