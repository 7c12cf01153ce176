import assert from "node:assert/strict";
import { test } from "node:test";
import { coveredFees, currencyOptions, optionFor, presetAmounts } from "../src/currencies.js";

const option = (frequency) => ({ frequency, presets: [500, 1500], default: 1500, minimum: 200, maximum: 100000 });
const withFrequencies = (...names) => ({ frequencies: names.map(option) });

test("the suggested amount is offered even when it is no preset", () => {
  assert.deepEqual(presetAmounts({ ...option("once"), default: 700 }), [500, 700, 1500]);
  assert.deepEqual(presetAmounts(option("once")), [500, 1500]);
});

for (const [wanted, offered, chosen] of [
  ["monthly", ["once", "monthly", "annual"], "monthly"],
  ["once", ["monthly", "annual"], "monthly"],
  ["monthly", ["once", "annual"], "annual"],
  ["annual", ["once", "monthly"], "monthly"],
  ["annual", ["once"], "once"],
])
  test(`who wants ${wanted} where there is ${offered.join(" and ")} is nearest to ${chosen}`, () =>
    assert.equal(optionFor(withFrequencies(...offered), wanted).frequency, chosen));

test("each currency is read and written in its own way", () => {
  const other_currencies = [
    { currency: "JPY", exponent: 0, step: 1, ...withFrequencies("once") },
    { currency: "KWD", exponent: 3, step: 10, ...withFrequencies("once") },
  ];
  const currencies = currencyOptions({ currency: "EUR", exponent: 2, step: 1, ...withFrequencies("once"), other_currencies }, "en");
  assert.deepEqual(
    currencies.map(({ currency, money }) => [currency, money.format(1250).replace(/\s/g, " ")]),
    [["EUR", "€12.50"], ["JPY", "¥1,250"], ["KWD", "KWD 1.250"]],
  );
  assert.deepEqual(currencies.map(({ money }) => money.parse("12").minor), [1200, 12, 12000]);
});

test("an answer from before there were other currencies has one", () =>
  assert.equal(currencyOptions({ currency: "EUR", exponent: 2, step: 1, ...withFrequencies("once") }, "en").length, 1));

test("without a feeRate there is nothing to cover", () => {
  assert.equal(coveredFees(700, { cover_fees: null, step: 1 }), 0);
  assert.equal(coveredFees(700, { step: 1 }), 0);
});

test("seven dollars cost 52 cents more at 2.9 % and 30 cents", () =>
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
  test(`the least that leaves the whole amount is added at ${basis_points}/10000 and ${fixed}, in steps of ${step}`, () => {
    const currencyOption = { cover_fees: { basis_points, fixed }, step };
    const kept = 10_000n - BigInt(basis_points);
    for (const amount of AMOUNTS) {
      const added = coveredFees(amount, currencyOption);
      const total = BigInt(amount) + BigInt(added);
      const owed = BigInt(amount + fixed) * 10_000n;
      // Strict equality would describe every amount, which takes longer than the sums.
      if (!Number.isInteger(added) || total % BigInt(step) || total * kept < owed || (total - BigInt(step)) * kept >= owed)
        assert.fail(`${added} was added to ${amount}`);
    }
  });
