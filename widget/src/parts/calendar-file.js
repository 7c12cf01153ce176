/** A calendar file (RFC 5545) with one event that takes a whole day, and an alarm on its morning. */

const MAX_LINE_BYTES = 75;
const encoder = new TextEncoder();

/** @param {string} text */
const escape = (text) => text.replace(/[\\;,]/g, "\\$&").replace(/\s+/g, " ");

/** Folds a line that is too long, between characters. @param {string} line */
function fold(line) {
  let folded = "";
  let bytes = 0;
  for (const character of line) {
    const size = encoder.encode(character).length;
    if (bytes + size > MAX_LINE_BYTES) {
      folded += "\r\n ";
      bytes = 1;
    }
    folded += character;
    bytes += size;
  }
  return folded;
}

/**
 * Returns the rule of an event that recurs: on the same day of a month, or on the last day of a month that is too short.
 * @param {string} day
 * @param {number} months
 */
function recurrence(day, months) {
  const date = Number(day.slice(-2));
  const days = [28, 29, 30, 31].filter((other) => other <= date);
  const rule = `RRULE:FREQ=MONTHLY;INTERVAL=${months}`;
  return date > 28 ? `${rule};BYMONTHDAY=${days};BYSETPOS=-1` : rule;
}

/**
 * @param {object} event
 * @param {string} event.uid
 * @param {string} event.day YYYY-MM-DD
 * @param {number} event.everyMonths 0 if it does not recur
 * @param {string} event.title
 * @param {string} event.url
 * @param {Date} [event.now]
 */
export function calendarFile({ uid, day, everyMonths, title, url, now = new Date() }) {
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Mainstay//Support box//EN",
    "BEGIN:VEVENT",
    `UID:${uid}`,
    `DTSTAMP:${now.toISOString().replace(/[-:]|\.\d+/g, "")}`,
    `DTSTART;VALUE=DATE:${day.replaceAll("-", "")}`,
    ...(everyMonths ? [recurrence(day, everyMonths)] : []),
    `SUMMARY:${escape(title)}`,
    `DESCRIPTION:${escape(url)}`,
    `URL:${url}`,
    "TRANSP:TRANSPARENT",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    `DESCRIPTION:${escape(title)}`,
    "TRIGGER:PT9H",
    "END:VALARM",
    "END:VEVENT",
    "END:VCALENDAR",
  ];
  return lines.map((line) => `${fold(line)}\r\n`).join("");
}

/** Hands a file to the reader. Nothing leaves the browser. @param {string} name @param {string} content */
export function download(name, content) {
  const href = URL.createObjectURL(new Blob([content], { type: "text/calendar;charset=utf-8" }));
  Object.assign(document.createElement("a"), { href, download: name }).click();
  // The browser may read the file only after the click.
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}
