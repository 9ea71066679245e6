// Milliseconds since 1970 ↔ the two times of X.509 (RFC 5280 section 4.1.2.5): UTCTime up to 2049, GeneralizedTime from 2050 on. Reads no
// clock and needs none of the runtime's calendar: days are counted in the proleptic Gregorian calendar.
import { type Element, element, TAG } from './der.js';

const DAY = 86_400_000;

/** Days from 1970-01-01; the year begins in March, so that the leap day is its last. */
const daysOf = (year: number, month: number, day: number): number => {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
};

const dateOf = (days: number): readonly [year: number, month: number, day: number] => {
  const shifted = days + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const march = Math.floor((5 * dayOfYear + 2) / 153);
  const month = march < 10 ? march + 3 : march - 9;
  return [yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - Math.floor((153 * march + 2) / 5) + 1];
};

const digits = (value: number, size: number): string => String(value).padStart(size, '0');

/** Whole seconds: what is below one is cut off. */
export const writeTime = (at: number): Uint8Array => {
  const [year, month, day] = dateOf(Math.floor(at / DAY));
  if (!(year >= 1950 && year <= 9999)) throw new RangeError('a certificate holds times from 1950 to 9999');
  const seconds = Math.floor((at - Math.floor(at / DAY) * DAY) / 1000);
  const clock = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  const rest = `${[month, day, ...clock].map((value) => digits(value, 2)).join('')}Z`;
  const utc = year < 2050;
  const text = (utc ? digits(year % 100, 2) : digits(year, 4)) + rest;
  return element(utc ? TAG.utcTime : TAG.generalizedTime, new TextEncoder().encode(text));
};

/** `YYMMDDHHMMSSZ` or `YYYYMMDDHHMMSSZ`, no other form (RFC 5280 sections 4.1.2.5.1 and 4.1.2.5.2). */
export const readTime = ({ tag, body }: Element): number | undefined => {
  const utc = tag === TAG.utcTime;
  if ((!utc && tag !== TAG.generalizedTime) || body.length !== (utc ? 13 : 15) || body.at(-1) !== 0x5a)
    return undefined;
  if (body.subarray(0, -1).some((octet) => octet < 0x30 || octet > 0x39)) return undefined;
  const pair = (at: number): number => ((body[at] as number) - 0x30) * 10 + (body[at + 1] as number) - 0x30;
  const start = utc ? 2 : 4;
  const year = utc ? pair(0) + (pair(0) < 50 ? 2000 : 1900) : pair(0) * 100 + pair(2);
  const month = pair(start);
  const day = pair(start + 2);
  const [hour, minute, second] = [pair(start + 4), pair(start + 6), pair(start + 8)];
  if (month < 1 || month > 12 || hour > 23 || minute > 59 || second > 59) return undefined;
  const days = daysOf(year, month, day);
  // February 30 would come back as a day of March.
  if (day < 1 || dateOf(days)[1] !== month) return undefined;
  return days * DAY + (hour * 3600 + minute * 60 + second) * 1000;
};
