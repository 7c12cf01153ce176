import assert from "node:assert/strict";
import { test } from "node:test";
import { textDirection, chooseLanguage, normalizeTag } from "../src/language.js";

for (const [written, tag] of [
  ["en_us", "en-US"],
  ["RU", "ru"],
  ["not a tag!", ""],
  ["", ""],
])
  test(`"${written}" normalizes to "${tag}"`, () => assert.equal(normalizeTag(written), tag));

for (const [requested, available, lang] of [
  ["en-GB", "en", "en-GB"],
  ["ru", "ru", "ru"],
  ["nl", "en", "en"],
  ["", "ru", "ru"],
  ["", "not a tag!", "en"],
])
  test(`requested "${requested}" and available "${available}" choose ${lang}`, () =>
    assert.equal(chooseLanguage(requested, available), lang));

test("Arabic and Hebrew are right-to-left and Arapaho is not", () =>
  assert.deepEqual(["ar-EG", "he", "en", "arp"].map(textDirection), ["rtl", "rtl", "ltr", "ltr"]));
