import assert from "node:assert/strict";
import { test } from "node:test";
import { currencyOptions, optionFor, presetAmounts } from "../src/currencies.js";
import { coveredFees } from "../src/parts/fees.js";

const option = (frequency) => ({ frequency, presets: [500, 1500], default: 1500, minimum: 200, maximum: 100000 });
const withFrequencies = (...names) => ({ frequencies: names.map(option) });

test("the default amount is listed even if it is not a preset", () => {
  assert.deepEqual(presetAmounts({ ...option("once"), default: 700 }), [500, 700, 1500]);
  assert.deepEqual(presetAmounts(option("once")), [500, 1500]);
});

for (const [requested, available, expected] of [
  ["monthly", ["once", "monthly", "annual"], "monthly"],
  ["once", ["monthly", "annual"], "monthly"],
  ["monthly", ["once", "annual"], "annual"],
  ["annual", ["once", "monthly"], "monthly"],
  ["annual", ["once"], "once"],
])
  test(`${requested} falls back to ${expected} among ${available.join(" and ")}`, () =>
    assert.equal(optionFor(withFrequencies(...available), requested).frequency, expected));

test("each currency is parsed and formatted with its own decimals", () => {
  const other_currencies = [
    { currency: "JPY", exponent: 0, step: 1, ...withFrequencies("once") },
    { currency: "KWD", exponent: 3, step: 10, ...withFrequencies("once") },
  ];
  const campaign = { currency: "EUR", exponent: 2, step: 1, ...withFrequencies("once"), other_currencies };
  const currencies = currencyOptions(campaign, "en");
  assert.deepEqual(
    currencies.map(({ currency, money }) => [currency, money.format(1250).replace(/\s/g, " ")]),
    [["EUR", "€12.50"], ["JPY", "¥1,250"], ["KWD", "KWD 1.250"]],
  );
  assert.deepEqual(currencies.map(({ money }) => money.parse("12")), [1200, 12, 12000]);
});

test("a campaign without other_currencies has one currency", () =>
  assert.equal(currencyOptions({ currency: "EUR", exponent: 2, step: 1, ...withFrequencies("once") }, "en").length, 1));

test("no fee is added without a fee rate", () => {
  assert.equal(coveredFees(700, { cover_fees: null, step: 1 }), 0);
  assert.equal(coveredFees(700, { step: 1 }), 0);
});

test("covering 2.9 % and 30 cents adds 52 cents to 7 dollars", () =>
  assert.equal(coveredFees(700, { cover_fees: { basis_points: 290, fixed: 30 }, step: 1 }), 52));

const FEE_RATES = [
  [290, 30, 1],
  [150, 25, 1],
  [360, 0, 1],
  [0, 30, 1],
  [1, 0, 1],
  [5000, 0, 1],
  [290, 100, 10],
  [290, 3000, 100],
];
const AMOUNTS = [...Array(100_001).keys(), 999_999_999_999, 1_000_000_000_000].slice(1);

for (const [basis_points, fixed, step] of FEE_RATES)
  test(`covered fees are minimal at ${basis_points}/10000 plus ${fixed} in steps of ${step}`, () => {
    const currencyOption = { cover_fees: { basis_points, fixed }, step };
    const netRate = 10_000n - BigInt(basis_points);
    for (const amount of AMOUNTS) {
      const added = coveredFees(amount, currencyOption);
      const total = BigInt(amount) + BigInt(added);
      const owed = BigInt(amount + fixed) * 10_000n;
      // An assertion for each amount would take longer than the arithmetic.
      const isMinimal = total * netRate >= owed && (total - BigInt(step)) * netRate < owed;
      if (!Number.isInteger(added) || total % BigInt(step) || !isMinimal)
        assert.fail(`${added} is added to ${amount}`);
    }
  });
