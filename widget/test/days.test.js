import assert from "node:assert/strict";
import { test } from "node:test";
import { dayAfterMonths, formatDay, tomorrow } from "../src/parts/days.js";

for (const [year, month, day, months, expected] of [
  [2026, 11, 26, 1, "2026-12-26"],
  [2026, 11, 26, 12, "2027-11-26"],
  [2026, 12, 31, 2, "2027-02-28"],
  [2027, 8, 31, 6, "2028-02-29"],
  [2027, 1, 31, 1, "2027-02-28"],
  [2027, 1, 31, 2, "2027-03-31"],
  [2026, 12, 1, 24, "2028-12-01"],
])
  test(`${months} months after ${year}-${month}-${day} is ${expected}, even just before midnight`, () => {
    for (const hour of [0, 12, 23]) {
      assert.equal(dayAfterMonths(months, new Date(year, month - 1, day, hour, 59)), expected);
    }
  });

test("tomorrow is the next day by the reader's clock", () => {
  assert.equal(tomorrow(new Date(2026, 11, 31, 23, 59)), "2027-01-01");
  assert.equal(tomorrow(new Date(2028, 1, 28, 0, 0)), "2028-02-29");
});

test("a day is formatted as the same day in every time zone", () => {
  assert.equal(formatDay("en", "2026-12-26"), "December\u00a026,\u00a02026");
  assert.equal(formatDay("ru", "2026-12-26"), "26\u00a0декабря\u00a02026\u00a0г.");
});
