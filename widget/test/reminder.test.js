import assert from "node:assert/strict";
import { test } from "node:test";
import RU from "../../schemas/texts/widget.ru.json" with { type: "json" };
import { createTranslator } from "../src/texts.js";
import { submitLabel } from "../src/parts/reminder.js";

const english = createTranslator();
const russian = createTranslator(RU);

for (const [text, months, label, expected] of [
  [english, 1, "Next month", "Remind me next month"],
  [english, 3, "In 3 months", "Remind me in 3 months"],
  [english, 12, "In a year", "Remind me in a year"],
  [russian, 1, "Через месяц", "Напомнить через месяц"],
  [russian, 3, "Через 3 месяца", "Напомнить через 3 месяца"],
  [russian, 12, "Через год", "Напомнить через год"],
])
  test(`the option "${label}" labels the button "${expected}"`, () =>
    assert.equal(submitLabel(text, { months, repeat: false, label }), expected));

for (const months of [1, 3])
  test(`the button does not repeat an interval of ${months} months`, () => {
    const option = { months, repeat: true, label: `Every ${months} months, until I cancel` };
    assert.equal(submitLabel(english, option).trim(), "Remind me");
    assert.equal(submitLabel(russian, option).trim(), "Напомнить");
  });
