import assert from "node:assert/strict";
import { test } from "node:test";
import { errorView } from "../src/views/error.js";

/** The view without a page: what it says, and the words on its buttons besides the one that tries again. */
function renderError(t, answer, reminder = {}) {
  t.after(() => delete globalThis.document);
  const createElement = () => ({
    setAttribute() {},
    append(...words) {
      this.words = words;
    },
  });
  globalThis.document = { createElement };
  const context = { campaign: { reminder }, text: (name) => name };
  const { message, nodes } = errorView(context, { retryAfterSeconds: 0, ...answer }, () => {});
  return { message, buttons: nodes.flatMap((node) => node.words ?? []).filter(Boolean) };
}

for (const [status, key] of [
  [0, "error_unreachable"],
  [403, "error_unexpected"],
  [404, "error_unexpected"],
  [409, "error_unexpected"],
  [422, "error_unexpected"],
  [429, "error_busy"],
  [500, "error_unexpected"],
  [503, "error_busy"],
])
  test(`an answer of ${status} is told as ${key}, never as the service wrote it`, (t) =>
    assert.equal(renderError(t, { status, body: { detail: "For operators." } }).message, key));

const DOWN = { status: 503, body: { code: "payments_unavailable", detail: "For operators." } };

test("while payments cannot be taken the reader is told so, and may be reminded instead", (t) => {
  const { message, buttons } = renderError(t, DOWN, { enabled: true });
  assert.equal(message, "error_payments");
  assert.deepEqual(buttons, ["back", "remind_me_later"]);
});

test("a campaign without reminders offers none while payments cannot be taken", (t) =>
  assert.deepEqual(renderError(t, DOWN).buttons, ["back"]));
