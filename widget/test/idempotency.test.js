import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyStore, randomKey } from "../src/idempotency.js";

function createCountingStore() {
  let created = 0;
  return createKeyStore(() => `key-${++created}`);
}

test("trying the same gift again keeps its key", () => {
  const keyStore = createCountingStore();
  assert.equal(keyStore.keyFor("a"), "key-1");
  assert.equal(keyStore.keyFor("a"), "key-1");
});

test("another amount is another intent, and so is going back to the first", () => {
  const keyStore = createCountingStore();
  assert.deepEqual(["a", "b", "a"].map(keyStore.keyFor), ["key-1", "key-2", "key-3"]);
});

test("a forgotten intent does not come back", () => {
  const keyStore = createCountingStore();
  keyStore.keyFor("a");
  keyStore.resetKey();
  assert.equal(keyStore.keyFor("a"), "key-2");
});

test("every page gets a random key that the service takes, with TLS or without", (t) => {
  Object.defineProperty(crypto, "randomUUID", { configurable: true, value: undefined });
  t.after(() => delete crypto.randomUUID);
  const keys = Array.from({ length: 1000 }, randomKey);
  for (const key of keys) assert.match(key, /^[0-9]+-[0-9]+$/);
  assert.equal(new Set(keys).size, 1000);
  assert.ok(keys.every(({ length }) => length >= 8 && length <= 255));
});
