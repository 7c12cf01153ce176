import assert from "node:assert/strict";
import { test } from "node:test";
import { textDirection, chooseLanguage, normalizeTag } from "../src/language.js";

for (const [written, tag] of [
  ["en_us", "en-US"],
  ["RU", "ru"],
  ["not a tag!", ""],
  ["", ""],
])
  test(`"${written}" is the language tag "${tag}"`, () => assert.equal(normalizeTag(written), tag));

for (const [asked, offered, lang] of [
  ["en-GB", "en", "en-GB"],
  ["ru", "ru", "ru"],
  ["nl", "en", "en"],
  ["", "ru", "ru"],
  ["", "not a tag!", "en"],
])
  test(`asked for "${asked}" and answered in "${offered}", amounts are written in ${lang}`, () =>
    assert.equal(chooseLanguage(asked, offered), lang));

test("Arabic and Hebrew run from right to left, Arapaho does not", () =>
  assert.deepEqual(["ar-EG", "he", "en", "arp"].map(textDirection), ["rtl", "rtl", "ltr", "ltr"]));
