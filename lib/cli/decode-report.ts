// Explained frames → lines for a person: the drawing with what it means below it, or one line a frame, and a last line that sums up.
import type { ExplainedFrame, ExplainedMessage, Explanation } from '../index.js';
import { drawFrame } from './draw-frame.js';
import type { Head } from './http-head.js';
import type { Style } from './style.js';
import { count, escapeControl, hexDump, hexOf, quote } from './terminal.js';

const LABEL = 10;
const line = (label: string, text: string, style: Style): string => `  ${style.dim(label.padEnd(LABEL))}${text}`;

export const countFaults = (explained: Explanation): number =>
  explained.frames.reduce((sum, frame) => sum + frame.faults.length, 0);

export const reportHead = (head: Head, style: Style): string[] => {
  const kind = head.kind === 'request' ? 'handshake request' : 'handshake answer';
  const lines = [`${style.bold(kind)}  ${escapeControl(head.first)}  ${style.dim(count(head.size, 'byte'))}`];
  for (const [name, value] of head.fields) {
    lines.push(
      `  ${style.dim(`${escapeControl(name)}:`)} ${escapeControl(value.length > 80 ? `${value.slice(0, 80)}…` : value)}`,
    );
  }
  if (!head.complete) lines.push(line('cut', style.yellow('the blank line that ends the head is missing'), style));
  return lines;
};

const bytesText = (n: number): string => (n === Infinity ? 'more than 2^53 bytes' : count(n, 'byte'));

const title = (frame: ExplainedFrame, style: Style): string => {
  const words = [
    style.bold(`frame ${frame.index + 1}`),
    style.bold(style.magenta(frame.name)),
    frame.sender === 'client' ? 'client → server' : 'server → client',
    bytesText(frame.length),
  ];
  if (frame.part > 0 && !(frame.fin && frame.part === 1))
    words.push(`part ${frame.part}${frame.fin ? ', the last' : ''}`);
  if ((frame.rsv & 4) !== 0) words.push('compressed');
  const last = frame.offset + frame.wire.length - 1;
  return `${words.join(style.dim(' · '))}  ${style.dim(`bytes ${frame.offset}–${last}`)}`;
};

const messageText = (message: ExplainedMessage, style: Style, limit: number): string[] => {
  const how = `${message.kind}, ${count(message.data.length, 'byte')}${message.compressed ? (message.text === undefined && message.kind === 'text' ? ', compressed' : ' inflated') : ''}`;
  const from = message.frames > 1 ? ` from ${message.frames} frames` : '';
  const shown = message.text === undefined ? '' : `  ${style.green(quote(message.text, limit))}`;
  return [line('message', `${how}${from}${shown}`, style)];
};

export const reportFrame = (frame: ExplainedFrame, style: Style, limit: number): string[] => {
  const lines = [title(frame, style), ...drawFrame(frame, style)];
  if (frame.payload.length > 0 && limit > 0) {
    const how = `${bytesText(frame.length)}${frame.masked ? ', unmasked:' : ''}`;
    lines.push(line('payload', how, style));
    for (const row of hexDump(frame.payload, style, { limit })) lines.push(`  ${' '.repeat(LABEL)}${row}`);
  }
  if (frame.close !== undefined) lines.push(line('close', closeText(frame.close, style), style));
  if (frame.message !== undefined) {
    lines.push(...messageText(frame.message, style, limit));
    const inflated = frame.message.compressed && frame.message.text === undefined && frame.message.kind === 'binary';
    if (inflated && limit > 0)
      for (const row of hexDump(frame.message.data, style, { limit })) lines.push(`  ${' '.repeat(LABEL)}${row}`);
  }
  if (!frame.complete) {
    lines.push(
      line('cut', style.yellow(`${count(frame.payload.length, 'byte')} of ${bytesText(frame.length)} are here`), style),
    );
  }
  for (const { code, phrase, section, close } of frame.faults) {
    lines.push(line('fault', style.red(`${code}: ${phrase}`), style));
    lines.push(line('', style.dim(`${section}; a receiver closes with ${close}`), style));
  }
  for (const note of frame.notes) lines.push(line('note', escapeControl(note), style));
  return lines;
};

const closeText = (close: NonNullable<ExplainedFrame['close']>, style: Style): string =>
  `${style.bold(String(close.code))} ${close.name}${close.reason === '' ? '' : `, reason ${quote(close.reason)}`}`;

/** One frame on one line, in columns. */
export const reportShort = (frame: ExplainedFrame, style: Style): string => {
  const flags = `${frame.fin ? 'FIN' : ' · '}${(frame.rsv & 4) !== 0 ? ' RSV1' : '     '}`;
  const columns = [
    style.dim(String(frame.offset).padStart(8)),
    frame.sender === 'client' ? 'client →' : '← server',
    style.magenta(frame.name.padEnd(12)),
    flags,
    style.yellow((frame.length === Infinity ? '> 2^53' : String(frame.length)).padStart(8)),
    preview(frame, style),
  ];
  const faults = frame.faults.map((fault) => style.red(fault.code)).join(' ');
  const cut = frame.complete ? '' : `  ${style.yellow('cut')}`;
  return `${columns.join('  ').trimEnd()}${cut}${faults === '' ? '' : `  ${faults}`}`;
};

const preview = (frame: ExplainedFrame, style: Style): string => {
  if (frame.close !== undefined) return closeText(frame.close, style);
  const text = frame.message?.text;
  if (text !== undefined) return style.green(quote(text, 40));
  const bytes = frame.message?.data ?? frame.payload;
  return style.blue(hexOf(bytes.subarray(0, 12)) + (bytes.length > 12 ? ' …' : ''));
};

export const reportSummary = (explained: Explanation, heads: readonly Head[], style: Style): string[] => {
  const messages = explained.frames.filter((frame) => frame.message !== undefined).length;
  const faults = countFaults(explained);
  const lines: string[] = [];
  if (explained.rest !== undefined) {
    const { offset, bytes } = explained.rest;
    lines.push(
      style.yellow(`cut: ${count(bytes.length, 'byte')} at ${offset} (${hexOf(bytes)}) do not make a whole header`),
    );
  }
  if (explained.missing !== undefined)
    lines.push(style.yellow(`cut: the last frame lacks ${bytesText(explained.missing)}`));
  if (explained.unfinished !== undefined) {
    const { kind, frames, bytes } = explained.unfinished;
    lines.push(
      style.yellow(
        `open: a ${kind} message of ${count(frames, 'frame')} and ${count(bytes, 'byte')} so far has not ended`,
      ),
    );
  }
  const words = [count(explained.frames.length, 'frame'), count(messages, 'message')];
  if (heads.length > 0) words.unshift(count(heads.length, 'handshake head'));
  words.push(faults === 0 ? style.green('no faults') : style.red(count(faults, 'fault')));
  return [...lines, words.join(style.dim(' · '))];
};
