/** The amounts that readers type: the cases of tests/amounts.json, which the service's tests run too. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createTranslator } from "../src/texts.js";
import { explainAmount, explainText } from "../src/explain-amount.js";
import { createMoney } from "../src/money.js";
import TABLE from "../../tests/amounts.json" with { type: "json" };

for (const { typed, locale, currency, minor, suggestion, text, error, example } of TABLE.cases)
  test(`${JSON.stringify(typed)} in ${locale} is ${minor ?? suggestion ?? error} of ${currency}`, () => {
    const option = { currency, ...TABLE.currencies[currency] };
    const money = createMoney(currency, locale, option.exponent, option.step);
    const parsed = money.parse(typed);
    if (minor !== undefined) return assert.equal(parsed, minor);
    assert.ok(Number.isNaN(parsed), `read as ${parsed}`);
    const explained = explainText(typed, option, locale);
    if (error) {
      assert.equal(explained.errorKey, error);
      if (!example) return;
      assert.equal(explained.values.example, example);
      assert.ok(money.parse(example) > 0, "the example is accepted");
      return;
    }
    assert.deepEqual(explained, { minor: suggestion, suggestion: text });
    assert.equal(money.parse(text), suggestion, "the suggestion is accepted");
  });

/** Returns the error of a typed amount in dollars, in English, from $2 to $1,000. */
function explain(customAmount) {
  const money = createMoney("USD", "en", 2);
  const frequencies = [{ frequency: "once", presets: [500], default: 500, minimum: 200, maximum: 100_000 }];
  const currencyOption = { currency: "USD", exponent: 2, step: 1, frequencies, money };
  return explainAmount({ currencyOption, frequency: "once", preset: 500, customAmount }, "en");
}

test("an amount that the reader may have meant is offered", () =>
  assert.deepEqual(explain("12,50"), {
    errorKey: "amount_suggested",
    values: { amount: "$12.50" },
    suggestion: "12.50",
  }));

for (const typed of ["1.99", "1,99", "0"])
  test(`"${typed}" is below the minimum, so it is not offered`, () =>
    assert.deepEqual(explain(typed), { errorKey: "amount_below_minimum", values: { limit: "$2" } }));

for (const typed of ["1,000.01", "1.000,01"])
  test(`"${typed}" is above the maximum, so it is not offered`, () =>
    assert.deepEqual(explain(typed), { errorKey: "amount_above_maximum", values: { limit: "$1,000" } }));

test("an amount of dollars has at most two decimals", () => {
  const { errorKey, values } = explain("7.555");
  const texts = { amount_decimals: "At most {count} decimals, such as {example}." };
  assert.equal(createTranslator(texts)(errorKey, values), "At most 2 decimals, such as 7.50.");
});
