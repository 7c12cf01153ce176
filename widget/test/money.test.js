import assert from "node:assert/strict";
import { test } from "node:test";
import { createMoney } from "../src/money.js";

/** The exponents that the service sends; the others are 2. */
const EXPONENTS = { JPY: 0, KWD: 3 };

/** Input, locale, currency and minor units. */
const ACCEPTED = [
  ["7.5", "en", "USD", 750],
  ["7.50", "en", "USD", 750],
  ["2", "en", "USD", 200],
  ["0.29", "en", "USD", 29],
  ["1000", "en", "USD", 100000],
  ["1234567.89", "en", "USD", 123456789],
  ["007", "en", "USD", 700],
  [" $7.50 ", "en", "USD", 750],
  ["7.50 $", "en", "USD", 750],
  ["USD 7.50", "en", "USD", 750],
  ["7.50usd", "en", "USD", 750],
  ["US$7.50", "en-CA", "USD", 750],
  ["$7.50", "en-CA", "USD", 750],
  ["7,50", "ru", "USD", 750],
  ["7,5", "ru", "RUB", 750],
  ["500 ₽", "ru", "RUB", 50000],
  ["7,50\u00a0€", "de", "EUR", 750],
  ["500", "ja", "JPY", 500],
  ["￥５００", "ja", "JPY", 500],
  ["1.5", "en", "KWD", 1500],
  ["1.250", "en", "KWD", 1250],
  ["٧٫٥", "ar-EG", "EGP", 750],
  ["٧٫٥", "ar", "USD", 750],
  ["۷٫۵", "ar", "USD", 750],
  ["0", "en", "USD", 0],
  // The largest exact integer, and a much larger number, which every campaign's maximum rejects.
  ["90071992547409.91", "en", "USD", 9007199254740991],
  ["99999999999999999999", "en", "USD", 99999999999999999999 * 100],
];

for (const [input, lang, currency, minor] of ACCEPTED)
  test(`"${input}" in ${lang} is ${minor} minor units of ${currency}`, () =>
    assert.deepEqual(createMoney(currency, lang, EXPONENTS[currency] ?? 2).parse(input), { minor }));

/** Input, locale, currency, error and the example in its text. */
const REJECTED = [
  ["", "en", "USD", "amount_missing"],
  ["   ", "en", "USD", "amount_missing"],
  ["$", "en", "USD", "amount_missing"],
  ["1.000", "en", "USD", "amount_invalid", "1000"],
  ["1,000", "en", "USD", "amount_invalid", "1000"],
  ["1 000", "en", "USD", "amount_invalid", "1000"],
  ["1,000,000", "en", "USD", "amount_invalid", "1000000"],
  ["1,000.50", "en", "USD", "amount_invalid", "1000.50"],
  ["1.000", "de", "EUR", "amount_invalid", "1000"],
  ["1,000", "de", "EUR", "amount_invalid", "1000"],
  ["1\u00a0000,50", "ru", "RUB", "amount_invalid", "1000,50"],
  ["1’000", "de-CH", "CHF", "amount_invalid", "1000"],
  ["1,000", "ja", "JPY", "amount_invalid", "1000"],
  ["1,000", "en", "KWD", "amount_invalid", "1000"],
  ["7,50", "en", "USD", "amount_invalid", "7.50"],
  ["7,5", "en", "USD", "amount_invalid", "7.50"],
  ["7.5", "ru", "RUB", "amount_invalid", "7,50"],
  ["7.505", "en", "USD", "amount_invalid", "7505"],
  ["7.5050", "en", "USD", "amount_invalid", "7.50"],
  ["1.23456", "en", "KWD", "amount_invalid", "7.500"],
  ["500.00", "ja", "JPY", "amount_invalid", "500"],
  ["-5", "en", "USD", "amount_invalid", "7.50"],
  ["+5", "en", "USD", "amount_invalid", "7.50"],
  ["1e3", "en", "USD", "amount_invalid", "7.50"],
  ["0x10", "en", "USD", "amount_invalid", "7.50"],
  ["five", "en", "USD", "amount_invalid", "7.50"],
  ["7.", "en", "USD", "amount_invalid", "7.50"],
  [".50", "en", "USD", "amount_invalid", "7.50"],
  ["1 50", "en", "USD", "amount_invalid", "7.50"],
  ["€7", "en", "USD", "amount_invalid", "7.50"],
  ["$7$", "en", "USD", "amount_invalid", "7.50"],
  ["five", "ja", "JPY", "amount_invalid", "500"],
];

for (const [input, lang, currency, errorKey, example] of REJECTED)
  test(`"${input}" in ${lang} is rejected as ${errorKey}`, () => {
    const money = createMoney(currency, lang, EXPONENTS[currency] ?? 2);
    const parsed = money.parse(input);
    assert.equal(parsed.errorKey, errorKey);
    assert.equal(parsed.values?.example, example);
    if (example) assert.ok(money.parse(example).minor, "the example is accepted");
  });

const plain = (text) => text.replace(/\s/g, " ");

for (const [minor, lang, currency, formatted] of [
  [200, "en", "USD", "$2"],
  [750, "en", "USD", "$7.50"],
  [5, "en", "USD", "$0.05"],
  [1000000, "en", "USD", "$10,000"],
  [750, "ru", "RUB", "7,50 ₽"],
  [50000, "ru", "RUB", "500 ₽"],
  [500, "ja", "JPY", "￥500"],
  [1250, "en", "KWD", "KWD 1.250"],
  [2000, "en", "KWD", "KWD 2"],
])
  test(`${minor} ${currency} is formatted as ${formatted} in ${lang}`, () =>
    assert.equal(plain(createMoney(currency, lang, EXPONENTS[currency] ?? 2).format(minor)), formatted));

for (const [currency, exponent] of [["JPY", 0], ["USD", 2], ["KWD", 3]])
  test(`every amount of ${currency} up to 100,000 minor units is formatted exactly and parses back`, () => {
    const money = createMoney(currency, "en", exponent);
    for (let minor = 0; minor <= 100_000; minor++) {
      const formatted = money.format(minor);
      const [whole, fraction = ""] = formatted.replace(/[^\d.]/g, "").split(".");
      // Comparing digits avoids floats.
      if (whole + fraction.padEnd(exponent, "0") !== String(minor).padStart(exponent + 1, "0"))
        assert.fail(`${minor} is formatted as ${formatted}`);
      if (money.parse(formatted.replace(",", "")).minor !== minor) assert.fail(`${formatted} does not parse back`);
    }
  });

for (const [input, exponent, step, expected] of [
  ["1.25", 3, 10, { minor: 1250 }],
  ["1.2", 3, 10, { minor: 1200 }],
  ["1.255", 3, 10, { errorKey: "amount_invalid", values: { example: "7.50" } }],
  ["1,255,000", 3, 10, { errorKey: "amount_invalid", values: { example: "1255000" } }],
  ["12", 2, 100, { minor: 1200 }],
  ["7.50", 2, 100, { errorKey: "amount_invalid", values: { example: "7" } }],
])
  test(`"${input}" with exponent ${exponent} and step ${step} is ${expected.minor ?? "rejected"}`, () =>
    assert.deepEqual(createMoney("KWD", "en", exponent, step).parse(input), expected));

test("the service's exponent overrides the browser's", () => {
  const dinars = createMoney("RSD", "en", 2);
  assert.deepEqual(dinars.parse("7.50"), { minor: 750 });
  assert.equal(plain(dinars.format(750)), "RSD 7.50");
});

test("the locale decides whether the symbol comes first", () => {
  assert.equal(createMoney("USD", "en", 2).isSymbolFirst, true);
  assert.equal(createMoney("RUB", "ru", 2).isSymbolFirst, false);
});

for (const lang of ["ar", "ar-EG", "fa", "mr"])
  test(`amounts in "${lang}" have European digits, as on the service's pages`, () =>
    assert.match(createMoney("USD", lang, 2).format(123456), /1.?234.56/u));

test("the symbol stands after the number in Arabic, although a direction mark comes first", () =>
  assert.equal(createMoney("USD", "ar", 2).isSymbolFirst, false));
