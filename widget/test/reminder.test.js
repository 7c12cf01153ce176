import assert from "node:assert/strict";
import { test } from "node:test";
import RU from "../../schemas/texts/widget.ru.json" with { type: "json" };
import { textsWith } from "../src/texts.js";
import { promiseOf } from "../src/views/reminder.js";

const english = textsWith();
const russian = textsWith(RU);

for (const [lang, text, months, promise] of [
  ["en", english, 1, "Remind me next month"],
  ["en", english, 3, "Remind me in 3 months"],
  ["en", english, 12, "Remind me in 12 months"],
  ["ru", russian, 1, "Напомнить через месяц"],
  ["ru", russian, 3, "Напомнить через 3 месяца"],
])
  test(`a single choice of ${months} months is promised as "${promise}"`, () =>
    assert.equal(promiseOf(text, lang, { months, repeat: false }), promise));

for (const [lang, text, label, promise] of [
  ["en", english, "In a year", "Remind me in a year"],
  ["ru", russian, "Через год", "Напомнить через год"],
])
  test(`"${label}" in the list is "${promise}" on the button`, () =>
    assert.equal(promiseOf(text, lang, { months: 12, repeat: false, label }), promise));

for (const months of [1, 3])
  test(`a reminder every ${months} months is not promised as one mail`, () => {
    const wait = { months, repeat: true, label: `Every ${months} months, until I cancel` };
    assert.equal(promiseOf(english, "en", wait).trim(), "Remind me");
    assert.equal(promiseOf(russian, "ru", wait).trim(), "Напомнить");
  });
