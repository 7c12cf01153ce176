import assert from "node:assert/strict";
import { test } from "node:test";
import { newIntent, newKey } from "../src/intent.js";

function counted() {
  let made = 0;
  return newIntent(() => `key-${++made}`);
}

test("trying the same gift again keeps its key", () => {
  const intent = counted();
  assert.equal(intent.keyFor("a"), "key-1");
  assert.equal(intent.keyFor("a"), "key-1");
});

test("another amount is another intent, and so is going back to the first", () => {
  const intent = counted();
  assert.deepEqual(["a", "b", "a"].map(intent.keyFor), ["key-1", "key-2", "key-3"]);
});

test("a forgotten intent does not come back", () => {
  const intent = counted();
  intent.keyFor("a");
  intent.forget();
  assert.equal(intent.keyFor("a"), "key-2");
});

test("a page without TLS still gets a key that the service takes", () => {
  const insecure = { getRandomValues: (bytes) => crypto.getRandomValues(bytes) };
  assert.match(newKey(insecure), /^[0-9a-f]{32}$/);
  assert.notEqual(newKey(insecure), newKey(insecure));
});

test("a secure page gets a UUID", () => assert.match(newKey(), /^[0-9a-f-]{36}$/));
