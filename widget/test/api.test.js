import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRetryAfter, request } from "../src/api.js";

/** Answers each request with the next of these, and keeps what was sent. */
function mockFetch(t, ...answers) {
  const sent = [];
  t.mock.method(globalThis, "fetch", async (url, options) => {
    sent.push({ url, ...options });
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next;
  });
  // Waiting is not what these tests are about.
  t.mock.method(globalThis, "setTimeout", (go) => queueMicrotask(go));
  return sent;
}

const json = (status, body, headers) => new Response(JSON.stringify(body), { status, headers });
const inProgress = () => json(409, { code: "request_in_progress" });

test("no cookie and no referrer leave the page", async (t) => {
  const sent = mockFetch(t, json(201, {}));
  await request("https://service.example/v1/pledges", "{}", "key-12345");
  const [{ credentials, referrerPolicy, method, headers, signal }] = sent;
  assert.deepEqual([credentials, referrerPolicy, method], ["omit", "no-referrer", "POST"]);
  assert.deepEqual(headers, { "Content-Type": "application/json", "Idempotency-Key": "key-12345" });
  assert.ok(signal instanceof AbortSignal);
});

test("a plain question carries no header of ours, so browsers need not ask first", async (t) => {
  const sent = mockFetch(t, json(200, {}));
  await request("https://service.example/v1/campaigns/default");
  assert.deepEqual([sent[0].method, sent[0].headers], ["GET", {}]);
});

test("a request in progress is sent for again with the same key until its answer is there", async (t) => {
  const sent = mockFetch(t, inProgress(), inProgress(), json(201, { id: "1" }));
  const { status, body } = await request("/v1/pledges", "{}", "key-12345");
  assert.deepEqual([status, body], [201, { id: "1" }]);
  assert.deepEqual(new Set(sent.map(({ headers }) => headers["Idempotency-Key"])), new Set(["key-12345"]));
});

test("a request that stays in progress is handed to the reader in the end", async (t) => {
  const sent = mockFetch(t, ...Array.from({ length: 10 }, inProgress));
  assert.equal((await request("/v1/pledges", "{}", "key-12345")).status, 409);
  assert.equal(sent.length, 6);
});

test("no answer has the status 0", async (t) => {
  mockFetch(t, new TypeError("no network"));
  assert.equal((await request("/v1/pledges", "{}")).status, 0);
});

test("a page of the host's own in place of a problem keeps its status and its wait", async (t) => {
  mockFetch(t, new Response("<h1>Down</h1>", { status: 503, headers: { "Retry-After": "7" } }));
  assert.deepEqual(await request("/v1/pledges", "{}"), { status: 503, retryAfterSeconds: 7, body: {} });
});

test("a page in place of an answer is no answer", async (t) => {
  mockFetch(t, new Response("<h1>Welcome to the hotel</h1>", { status: 200 }));
  assert.equal((await request("/v1/campaigns/default")).status, 0);
});

const NOW = Date.parse("2026-11-23T12:00:00Z");
for (const [header, seconds] of [
  [null, 0],
  ["3", 3],
  ["-3", 0],
  ["Mon, 23 Nov 2026 12:00:30 GMT", 30],
  ["Mon, 23 Nov 2026 11:00:00 GMT", 0],
  ["soon", 0],
])
  test(`Retry-After: ${header} means ${seconds} seconds`, () => assert.equal(parseRetryAfter(header, NOW), seconds));
