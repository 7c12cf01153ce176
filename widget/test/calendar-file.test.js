import assert from "node:assert/strict";
import { test } from "node:test";
import { calendarFile } from "../src/parts/calendar-file.js";

const EVENT = {
  uid: "1-2",
  day: "2026-12-26",
  everyMonths: 0,
  title: "Support The Harbour Lantern",
  url: "https://support.example/support/default?lang=en",
  now: new Date("2026-11-26T22:30:15.123Z"),
};
const withEvent = (changes) => calendarFile({ ...EVENT, ...changes });
const unfold = (file) => file.replaceAll("\r\n ", "");

test("a calendar file has one event that takes the day, with an alarm at nine", () =>
  assert.deepEqual(calendarFile(EVENT).split("\r\n"), [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//Mainstay//Support box//EN",
    "BEGIN:VEVENT",
    "UID:1-2",
    "DTSTAMP:20261126T223015Z",
    "DTSTART;VALUE=DATE:20261226",
    "SUMMARY:Support The Harbour Lantern",
    "DESCRIPTION:https://support.example/support/default?lang=en",
    "URL:https://support.example/support/default?lang=en",
    "TRANSP:TRANSPARENT",
    "BEGIN:VALARM",
    "ACTION:DISPLAY",
    "DESCRIPTION:Support The Harbour Lantern",
    "TRIGGER:PT9H",
    "END:VALARM",
    "END:VEVENT",
    "END:VCALENDAR",
    "",
  ]));

test("text is escaped, and cannot add a line", () => {
  const file = withEvent({ title: "A, B; C\\D\r\nATTENDEE:mailto:x@example.org" });
  assert.ok(file.includes("\r\nSUMMARY:A\\, B\\; C\\\\D ATTENDEE:mailto:x@example.org\r\n"));
  assert.ok(!file.includes("\r\nATTENDEE"));
});

test("long lines are folded at 75 bytes, between characters", () => {
  const title = "Поддержать: «Маяк гавани» 🕯️ ".repeat(6).trim();
  const file = withEvent({ title });
  for (const line of file.split("\r\n")) assert.ok(Buffer.byteLength(line) <= 75, line);
  assert.ok(!file.includes("\ufffd"));
  assert.ok(unfold(file).includes(`\r\nSUMMARY:${title}\r\n`));
});

for (const [day, everyMonths, rule] of [
  ["2026-12-26", 1, "RRULE:FREQ=MONTHLY;INTERVAL=1"],
  ["2026-12-28", 3, "RRULE:FREQ=MONTHLY;INTERVAL=3"],
  ["2026-12-30", 1, "RRULE:FREQ=MONTHLY;INTERVAL=1;BYMONTHDAY=28,29,30;BYSETPOS=-1"],
  ["2026-12-31", 12, "RRULE:FREQ=MONTHLY;INTERVAL=12;BYMONTHDAY=28,29,30,31;BYSETPOS=-1"],
])
  test(`an event on ${day} that recurs every ${everyMonths} months stays on that day or the last`, () =>
    assert.ok(withEvent({ day, everyMonths }).includes(`\r\n${rule}\r\n`)));
