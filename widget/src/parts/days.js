/** Days of the reader's calendar, written YYYY-MM-DD. */

/** @param {number} year @param {number} month from 0, and past 11 in a later year @param {number} day */
const isoDay = (year, month, day) => new Date(Date.UTC(year, month, day)).toISOString().slice(0, 10);

/**
 * Returns the same day of a later month, or its last day if it is shorter. The service dates a reminder by this rule.
 * @param {number} months
 */
export function dayAfterMonths(months, now = new Date()) {
  const year = now.getFullYear();
  const month = now.getMonth() + months;
  const lastDay = Number(isoDay(year, month + 1, 0).slice(-2));
  return isoDay(year, month, Math.min(now.getDate(), lastDay));
}

export const tomorrow = (now = new Date()) => isoDay(now.getFullYear(), now.getMonth(), now.getDate() + 1);

/**
 * Formats a day so that no line break comes inside it.
 * @param {string} lang @param {string} day @param {Intl.DateTimeFormatOptions} options
 */
const format = (lang, day, options) =>
  // Date parses a date without a time as midnight UTC, so only UTC formats it as the same day.
  new Intl.DateTimeFormat(lang, { ...options, timeZone: "UTC", numberingSystem: "latn" })
    .format(new Date(day))
    .replaceAll(" ", "\u00a0");

/** Formats a day that is less than a year away without its year. @param {string} lang @param {string} day */
export const formatNearDay = (lang, day, now = new Date()) =>
  day < dayAfterMonths(12, now) ? format(lang, day, { day: "numeric", month: "long" }) : formatDay(lang, day);

/** @param {string} lang @param {string} day */
export const formatDay = (lang, day) => format(lang, day, { dateStyle: "long" });
