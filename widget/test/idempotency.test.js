import assert from "node:assert/strict";
import { test } from "node:test";
import { createKeyStore, randomKey } from "../src/parts/idempotency.js";

function createCountingStore() {
  let created = 0;
  return createKeyStore(() => `key-${++created}`);
}

test("a retry keeps its idempotency key", () => {
  const keyStore = createCountingStore();
  assert.equal(keyStore.keyForBody("a"), "key-1");
  assert.equal(keyStore.keyForBody("a"), "key-1");
});

test("a changed body gets a new idempotency key, and so does changing it back", () => {
  const keyStore = createCountingStore();
  assert.deepEqual(["a", "b", "a"].map(keyStore.keyForBody), ["key-1", "key-2", "key-3"]);
});

test("a reset gives the same body a new idempotency key", () => {
  const keyStore = createCountingStore();
  keyStore.keyForBody("a");
  keyStore.resetKey();
  assert.equal(keyStore.keyForBody("a"), "key-2");
});

test("random keys are unique and valid without crypto.randomUUID", (t) => {
  Object.defineProperty(crypto, "randomUUID", { configurable: true, value: undefined });
  t.after(() => delete crypto.randomUUID);
  const keys = Array.from({ length: 1000 }, randomKey);
  for (const key of keys) assert.match(key, /^[0-9]+-[0-9]+$/);
  assert.equal(new Set(keys).size, 1000);
  assert.ok(keys.every(({ length }) => length >= 8 && length <= 255));
});
