import assert from "node:assert/strict";
import { test } from "node:test";
import { readAmount, initialChoice, defaultsFor } from "../src/choice.js";
import { currencyOptions } from "../src/currencies.js";
import { explainAmount } from "../src/explain-amount.js";

const once = { frequency: "once", presets: [500, 1500], default: 500, minimum: 100, maximum: 50000 };
const monthly = { frequency: "monthly", presets: [500, 1500], default: 1500, minimum: 200, maximum: 100000 };
const annual = { frequency: "annual", presets: [5000], default: 5000, minimum: 2000, maximum: 1000000 };
const campaign = {
  currency: "USD",
  exponent: 2,
  step: 1,
  frequencies: [monthly, annual],
  other_currencies: [{ currency: "JPY", exponent: 0, step: 1, frequencies: [once] }],
  default_frequency: "monthly",
  reminder: { enabled: true, choices: [3, 6], options: [{ months: 3, repeat: false, label: "In 3 months" }] },
};
const [dollars, yen] = currencyOptions(campaign, "en");
const choiceWith = (choice) => ({ ...initialChoice(campaign, dollars), ...choice });

test("the initial choice is the campaign's default and covers no fees", () => {
  const choice = initialChoice(campaign, dollars);
  const { currencyOption, frequency, preset, customAmount, months, repeat, coversFees } = choice;
  assert.deepEqual([frequency, preset, customAmount, months, repeat], ["monthly", 1500, "", 3, false]);
  assert.equal(currencyOption, dollars);
  assert.equal(coversFees, false);
});

test("a campaign without reminders has an initial choice", () => {
  const reminder = { enabled: false, choices: [], options: [] };
  assert.equal(initialChoice({ ...campaign, reminder }, dollars).preset, 1500);
});

test("a custom amount overrides the preset", () =>
  assert.equal(readAmount(choiceWith({ customAmount: "2" })), 200));

test("a blank custom amount keeps the preset", () =>
  assert.equal(readAmount(choiceWith({ customAmount: " " })), 1500));

test("an amount is missing without a preset and a custom amount", () =>
  assert.equal(explainAmount(choiceWith({ preset: 0 }), "en").errorKey, "amount_missing"));

for (const [customAmount, frequency, errorKey, limit] of [
  ["1.99", "monthly", "amount_below_minimum", "$2"],
  ["0", "monthly", "amount_below_minimum", "$2"],
  ["19.99", "annual", "amount_below_minimum", "$20"],
  ["1000.01", "monthly", "amount_above_maximum", "$1,000"],
  ["99999999999999999999", "annual", "amount_above_maximum", "$10,000"],
  ["9".repeat(400), "annual", "amount_above_maximum", "$10,000"],
])
  test(`${customAmount.slice(0, 20)} ${frequency} is rejected with the limit ${limit}`, () => {
    const choice = choiceWith({ frequency, customAmount });
    assert.equal(readAmount(choice), undefined);
    assert.deepEqual(explainAmount(choice, "en"), { errorKey, values: { limit } });
  });

test("the minimum and the maximum are accepted", () => {
  assert.equal(readAmount(choiceWith({ customAmount: "2" })), 200);
  assert.equal(readAmount(choiceWith({ customAmount: "1000" })), 100000);
});

test("a new currency applies its own preset, limits and decimals, and keeps the custom amount", () => {
  const choice = choiceWith({ customAmount: "7.50", email: "reader@example.org", coversFees: true });
  Object.assign(choice, defaultsFor(yen, choice.frequency));
  const { currencyOption, frequency, preset, customAmount } = choice;
  assert.deepEqual([currencyOption, frequency, preset, customAmount], [yen, "once", 500, "7.50"]);
  assert.deepEqual([choice.email, choice.coversFees], ["reader@example.org", true]);
  assert.equal(explainAmount(choice, "en").errorKey, "amount_whole");
  assert.deepEqual(explainAmount({ ...choice, customAmount: "99" }, "en"), {
    errorKey: "amount_below_minimum",
    values: { limit: "¥100" },
  });
  assert.equal(readAmount({ ...choice, customAmount: "100" }), 100);
});

test("a limit error formats the limit in the chosen currency", () => {
  const choice = choiceWith({ ...defaultsFor(yen, "once"), customAmount: "60000" });
  assert.equal(explainAmount(choice, "en").values.limit, "¥50,000");
});
