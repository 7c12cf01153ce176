import assert from "node:assert/strict";
import { test } from "node:test";
import { pageUrl } from "../src/parts/page-url.js";

/** @param {string} href */
const read = (href) => pageUrl(/** @type {any} */ (new URL(href)));

test("the address of a page is without its query and fragment", () =>
  assert.equal(read("https://paper.example/ferry?email=x#y"), "https://paper.example/ferry"));

test("an address that the service does not take is left out", () => {
  const path = "a".repeat(2048 - "https://paper.example/".length);
  assert.equal(read(`https://paper.example/${path}`)?.length, 2048);
  assert.equal(read(`https://paper.example/${path}a`), undefined);
});

test("a file or a frame without an address is no web page", () => {
  assert.equal(read("file:///tmp/page.html"), undefined);
  assert.equal(read("about:srcdoc"), undefined);
});
