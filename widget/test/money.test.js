import assert from "node:assert/strict";
import { test } from "node:test";
import { createMoney } from "../src/money.js";

/** The exponents that the service sends; the others are 2. */
const EXPONENTS = { JPY: 0, KWD: 3 };

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
      if (money.parse(formatted) !== minor) assert.fail(`${formatted} does not parse back`);
    }
  });

test("the service's exponent overrides the browser's", () => {
  const dinars = createMoney("RSD", "en", 2);
  assert.equal(dinars.parse("7.50"), 750);
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
