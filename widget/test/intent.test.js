import assert from "node:assert/strict";
import { test } from "node:test";
import { newIntent, newKey } from "../src/intent.js";

function counted() {
  let made = 0;
  return newIntent(() => `key-${++made}`);
}

test("trying the same gift again keeps its key", () => {
  const intent = counted();
  assert.equal(intent.keyOf("a"), "key-1");
  assert.equal(intent.keyOf("a"), "key-1");
});

test("another amount is another intent, and so is going back to the first", () => {
  const intent = counted();
  assert.deepEqual(["a", "b", "a"].map(intent.keyOf), ["key-1", "key-2", "key-3"]);
});

test("a forgotten intent does not come back", () => {
  const intent = counted();
  intent.keyOf("a");
  intent.startAnew();
  assert.equal(intent.keyOf("a"), "key-2");
});

test("every page gets a random key that the service takes, with TLS or without", (t) => {
  Object.defineProperty(crypto, "randomUUID", { configurable: true, value: undefined });
  t.after(() => delete crypto.randomUUID);
  const keys = Array.from({ length: 1000 }, newKey);
  for (const key of keys) assert.match(key, /^[0-9]+-[0-9]+$/);
  assert.equal(new Set(keys).size, 1000);
  assert.ok(keys.every(({ length }) => length >= 8 && length <= 255));
});
