import assert from "node:assert/strict";
import { test } from "node:test";
import { errorView, retryButton } from "../src/views/error.js";

/** Renders the view without a DOM, and returns its message and the labels of its buttons except the retry button. */
function renderError(t, response, reminder = {}) {
  t.after(() => delete globalThis.document);
  const createElement = () => ({
    setAttribute() {},
    append(...labels) {
      this.labels = labels;
    },
  });
  globalThis.document = { createElement };
  const context = { campaign: { reminder }, text: (name) => name, showPledge() {} };
  const { message, nodes } = errorView(context, { retryAfterSeconds: 0, ...response }, context.showPledge);
  return { message, buttons: nodes.flatMap((node) => node.labels ?? []).filter(Boolean) };
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
  test(`status ${status} shows ${key} and not the detail of the service`, (t) =>
    assert.equal(renderError(t, { status, body: { detail: "For operators." } }).message, `${key} error_not_charged`));

const DOWN = { status: 503, body: { code: "payments_unavailable", detail: "For operators." } };

test("a payment outage shows its own message and offers a reminder", (t) => {
  const { message, buttons } = renderError(t, DOWN, { enabled: true });
  assert.equal(message, "error_payments error_not_charged");
  assert.deepEqual(buttons, ["back", "remind_me_later"]);
});

test("a payment outage offers no reminder if the campaign has none", (t) =>
  assert.deepEqual(renderError(t, DOWN).buttons, ["back"]));

for (const [seconds, label] of [
  [0, "try_again"],
  [1, "try_again_in 1"],
  [119, "try_again_in 119"],
  [120, "try_again_in_minutes 2"],
  [121, "try_again_in_minutes 3"],
  [3600, "try_again_in_minutes 60"],
])
  test(`a wait of ${seconds} seconds is "${label}"`, (t) => {
    t.mock.timers.enable({ apis: ["setTimeout"] });
    t.after(() => delete globalThis.document);
    globalThis.document = { createElement: () => ({ isConnected: true, setAttribute() {}, append() {} }) };
    const text = (name, { count } = {}) => (count > 0 ? `${name} ${count}` : name);
    const button = retryButton(text, seconds, () => {});
    assert.equal(button.textContent, label);
    assert.equal(button.disabled, seconds > 0);
    for (let second = 0; second < seconds; second++) t.mock.timers.tick(1000);
    assert.equal(button.textContent, "try_again");
    assert.equal(button.disabled, false);
  });
