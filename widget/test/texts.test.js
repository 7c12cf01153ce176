import assert from "node:assert/strict";
import { test } from "node:test";
import EN from "../../schemas/texts/widget.en.json" with { type: "json" };
import OFFERS_EN from "../../schemas/texts/offers.en.json" with { type: "json" };
import RU from "../../schemas/texts/widget.ru.json" with { type: "json" };
import { consentVersion } from "../src/parts/consent.js";
import { createTranslator } from "../src/texts.js";

test("the texts for currencies and fees are not built in", () =>
  assert.deepEqual(Object.keys(OFFERS_EN).filter((key) => key in EN), []));

test("the texts that the specification fixes are exact", () => {
  const keys = ["once", "monthly", "annual", "continue", "not_ready", "reminder_set", "close"];
  assert.deepEqual(
    keys.map((key) => EN[key]),
    [
      "Once",
      "Monthly",
      "Annual",
      "Continue",
      "Not ready to support today? Remind me later.",
      "Thank you! Your reminder is set.",
      "Close",
    ],
  );
});

test("a campaign's texts override the built-in English", () => {
  const text = createTranslator({ monthly: "Every month" });
  assert.equal(text("monthly"), "Every month");
  assert.equal(text("once"), "Once");
});

test("placeholder values are inserted literally", () => {
  const text = createTranslator({ continue_once: "{amount} $& {amount}" });
  assert.equal(text("continue_once", { amount: "{date}" }), "{date} $& {date}");
});

for (const [overrides, lang, count, expected] of [
  [{}, "en", 1, "Try again in 1 second"],
  [{}, "en", 29, "Try again in 29 seconds"],
  [RU, "ru", 1, "Попробовать ещё раз через 1 секунду"],
  [RU, "ru", 3, "Попробовать ещё раз через 3 секунды"],
  [RU, "ru", 5, "Попробовать ещё раз через 5 секунд"],
])
  test(`a text with the number ${count} has its plural form in "${lang}"`, () =>
    assert.equal(createTranslator(overrides, lang)("try_again_in", { count }), expected));

for (const [count, expected] of [
  [2, "Попробовать ещё раз через 2 минуты"],
  [10, "Попробовать ещё раз через 10 минут"],
  [21, "Попробовать ещё раз через 21 минуту"],
])
  test(`${count} minutes have their plural form`, () =>
    assert.equal(createTranslator(RU, "ru")("try_again_in_minutes", { count }), expected));

test("values in right-to-left sentences are isolated", () => {
  const texts = { amount_below_minimum: "الحد الأدنى {limit}." };
  assert.equal(createTranslator(texts, "ar")("amount_below_minimum", { limit: "$2" }), "الحد الأدنى \u2068$2\u2069.");
  assert.equal(createTranslator(texts, "en")("amount_below_minimum", { limit: "$2" }), "الحد الأدنى $2.");
});

test("a doubled brace is one brace", () =>
  assert.equal(createTranslator({ continue_once: "{{{amount}}}" })("continue_once", { amount: 2 }), "{2}"));

test("the consent version changes with the text and the language", () => {
  assert.match(consentVersion("en", EN.reminder_consent), /^en-[0-9a-f]{8}$/);
  assert.equal(consentVersion("en", "a"), "en-e40c292c");
  assert.notEqual(consentVersion("en", "a"), consentVersion("en", "b"));
});
