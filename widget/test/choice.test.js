import assert from "node:assert/strict";
import { test } from "node:test";
import { chosenAmount, firstChoice, offeredAmounts, termsFor } from "../src/choice.js";
import { moneyIn } from "../src/money.js";

const money = moneyIn("USD", "en");
const monthly = { frequency: "monthly", presets: [500, 1500], default: 1500, minimum: 200, maximum: 100000 };
const annual = { frequency: "annual", presets: [5000], default: 5000, minimum: 2000, maximum: 1000000 };
const campaign = {
  frequencies: [monthly, annual],
  default_frequency: "monthly",
  reminder: { enabled: true, choices: [3, 6] },
};
const choosing = (choice) => ({ ...firstChoice(campaign), ...choice });

test("the first choice is what the campaign suggests", () => {
  const { frequency, preset, other, months, repeat } = firstChoice(campaign);
  assert.deepEqual([frequency, preset, other, months, repeat], ["monthly", 1500, "", 3, false]);
});

test("an amount of the reader's own stands before a preset", () =>
  assert.deepEqual(chosenAmount(choosing({ other: "2" }), monthly, money), { minor: 200 }));

test("a preset stands while nothing else is written", () =>
  assert.deepEqual(chosenAmount(choosing({ other: " " }), monthly, money), { minor: 1500 }));

test("without a preset or words there is no amount", () =>
  assert.equal(chosenAmount(choosing({ preset: 0 }), monthly, money).refusal, "amount_missing"));

for (const [other, terms, refusal, limit] of [
  ["1.99", monthly, "amount_below_minimum", "$2"],
  ["0", monthly, "amount_below_minimum", "$2"],
  ["19.99", annual, "amount_below_minimum", "$20"],
  ["1000.01", monthly, "amount_above_maximum", "$1,000"],
  ["99999999999999999999", annual, "amount_above_maximum", "$10,000"],
])
  test(`${other} ${terms.frequency} is refused with the limit ${limit}`, () =>
    assert.deepEqual(chosenAmount(choosing({ other }), terms, money), { refusal, values: { limit } }));

test("the limits themselves are taken", () => {
  assert.deepEqual(chosenAmount(choosing({ other: "2" }), monthly, money), { minor: 200 });
  assert.deepEqual(chosenAmount(choosing({ other: "1000" }), monthly, money), { minor: 100000 });
});

test("the suggested amount is offered even when it is no preset", () => {
  assert.deepEqual(offeredAmounts({ ...monthly, default: 700 }), [500, 700, 1500]);
  assert.deepEqual(offeredAmounts(monthly), [500, 1500]);
});

test("a frequency that the campaign does not offer gives way to its first", () =>
  assert.equal(termsFor(campaign, "once"), monthly));
