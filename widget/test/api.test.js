import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRetryAfter, request } from "../src/api.js";

/** Mocks fetch with one response for each request, and records the requests. */
function mockFetch(t, ...responses) {
  const sent = [];
  t.mock.method(globalThis, "fetch", async (url, options) => {
    sent.push({ url, ...options });
    const next = responses.shift();
    if (next instanceof Error) throw next;
    return next;
  });
  t.mock.method(globalThis, "setTimeout", (callback) => queueMicrotask(callback));
  return sent;
}

const json = (status, body, headers) => new Response(JSON.stringify(body), { status, headers });

test("a request sends no cookie and no referrer", async (t) => {
  const sent = mockFetch(t, json(201, {}));
  await request("https://service.example/v1/pledges", "{}", "key-12345");
  const [{ credentials, referrerPolicy, method, headers, signal }] = sent;
  assert.deepEqual([credentials, referrerPolicy, method], ["omit", "no-referrer", "POST"]);
  assert.deepEqual(headers, { "Content-Type": "application/json", "Idempotency-Key": "key-12345" });
  assert.ok(signal instanceof AbortSignal);
});

test("a GET request sets no header, so browsers send no CORS preflight", async (t) => {
  const sent = mockFetch(t, json(200, {}));
  await request("https://service.example/v1/campaigns/default");
  assert.deepEqual([sent[0].method, sent[0].headers], ["GET", {}]);
});

test("a network error has status 0", async (t) => {
  mockFetch(t, new TypeError("no network"));
  assert.equal((await request("/v1/pledges", "{}")).status, 0);
});

test("an error response that is not JSON keeps its status and Retry-After", async (t) => {
  mockFetch(t, new Response("<h1>Down</h1>", { status: 503, headers: { "Retry-After": "7" } }));
  assert.deepEqual(await request("/v1/pledges", "{}"), { status: 503, retryAfterSeconds: 7, body: {} });
});

test("a successful response that is not JSON has status 0", async (t) => {
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
