import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { currencyOptions } from "../src/currencies.js";
import { createRequests } from "../src/requests.js";
import { createTranslator } from "../src/texts.js";

const RUSSIAN = {
  amount_below_minimum: "Не меньше {limit}.",
  amount_above_maximum: "Не больше {limit}.",
  email_invalid: "Укажите адрес целиком.",
};
const CHECKOUT = "https://pay.example/1";
const made = () => ({ status: 201, body: { checkout_url: CHECKOUT, frequency: "monthly", currency: "USD" } });
const refused = (code, more) => ({ status: 422, body: { code, detail: "For operators.", ...more } });
const plain = (text) => text?.replace(/\u00a0/g, " ");

/** A box without a page: what it was last seen showing, what it sent, and where the reader was taken. */
function boxWith(attributes, ...answers) {
  const seen = { state: "form", said: "", sent: [], keys: [], taken: "" };
  const show = (state) => (...what) => Object.assign(seen, { state, what });
  const frame = {
    isState: (state) => seen.state === state,
    setBusy: () => show("submitting")(),
    showFieldError: (said) => Object.assign(seen, { state: "invalid", said }),
  };
  const option = { frequency: "monthly", presets: [700], default: 700, minimum: 200, maximum: 100000 };
  const campaign = { slug: "default", currency: "USD", exponent: 2, step: 1 };
  campaign.frequencies = [{ ...option, frequency: "once", minimum: 1 }, option];
  campaign.cover_fees = { basis_points: 290, fixed: 30 };
  campaign.other_currencies = [{ currency: "JPY", exponent: 0, step: 1, frequencies: [option], cover_fees: null }];
  const currencies = currencyOptions(campaign, "ru");
  const context = {
    campaign,
    currencies,
    choice: {
      currencyOption: currencies[0],
      frequency: "monthly",
      preset: 700,
      customAmount: "",
      coversFees: false,
      email: "reader@example",
      months: 1,
      repeat: false,
    },
    lang: "ru",
    text: createTranslator(RUSSIAN),
    showPledge: show("form"),
    showReminder: show("reminder-form"),
    showReminderCreated: show("reminder-set"),
    showError: show("error"),
  };
  const host = { getAttribute: (name) => attributes[name] ?? null };
  const call = async (_path, body, key) => {
    assert.equal(seen.state, "submitting");
    seen.sent.push(JSON.parse(body));
    seen.keys.push(key);
    return answers.shift();
  };
  globalThis.location = {
    protocol: "https:",
    origin: "https://paper.example",
    pathname: "/article",
    href: "https://paper.example/article",
    assign: (url) => Object.assign(seen, { taken: url }),
  };
  const tell = (name, detail) => Object.assign(seen, { told: { name, ...detail } });
  return { seen, context, host, ...createRequests(context, frame, host, call, tell) };
}

/** @type {import("node:test").Mock<typeof console.warn>} */
let warn;
beforeEach(() => {
  mock.restoreAll();
  warn = mock.method(console, "warn", () => {});
});

test("a return-url that is no address is left out, and the newsroom hears of it once", async () => {
  const { seen, submitPledge } = boxWith({ "return-url": "https://[" }, { status: 0, body: {} }, made());
  await submitPledge();
  assert.equal(seen.state, "error");
  await submitPledge();
  assert.deepEqual([seen.taken, "return_url" in seen.sent[0]], [CHECKOUT, false]);
  assert.equal(seen.keys[0], seen.keys[1]);
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /return-url="https:\/\/\["/);
});

for (const answer of [
  refused("return_url_not_allowed"),
  refused("validation_failed", { errors: { return_url: ["Not a web address."] } }),
])
  test(`a return-url that the service refuses (${answer.body.code}) does not cost the gift`, async () => {
    const { seen, submitPledge } = boxWith({ "return-url": "/thanks" }, answer, made());
    await submitPledge();
    const urls = seen.sent.map((body) => body.return_url);
    assert.deepEqual([urls, seen.taken], [["https://paper.example/thanks", undefined], CHECKOUT]);
    assert.notEqual(seen.keys[0], seen.keys[1]);
    assert.equal(warn.mock.callCount(), 1);
  });

test("a retry after the refused return-url is the same intent, so a lost answer makes no second gift", async () => {
  const lost = { status: 0, body: {} };
  const { seen, submitPledge } = boxWith({ "return-url": "/thanks" }, refused("return_url_not_allowed"), lost, made());
  await submitPledge();
  assert.equal(seen.state, "error");
  await submitPledge();
  assert.deepEqual([seen.sent.length, seen.keys[2], seen.taken], [3, seen.keys[1], CHECKOUT]);
  assert.equal(warn.mock.callCount(), 1);
});

test("a service that refuses a return-url it was not sent is not asked for ever", async () => {
  const twice = refused("return_url_not_allowed");
  const { seen, submitPledge } = boxWith({ "return-url": "/thanks" }, twice, twice);
  await submitPledge();
  assert.deepEqual([seen.state, seen.sent.length], ["error", 2]);
});

test("a reader who closed the box is not taken to a checkout by the second try", async () => {
  const { seen, submitPledge } = boxWith({ "return-url": "/thanks" }, refused("return_url_not_allowed"));
  const paying = submitPledge();
  seen.state = "dismissed";
  await paying;
  assert.deepEqual([seen.state, seen.sent.length, seen.taken], ["dismissed", 1, ""]);
});

test("a gift names its currency and covers the fees only when the reader asked for it", async () => {
  const { seen, context, submitPledge } = boxWith({}, made(), made(), made());
  const send = async (choice) => {
    Object.assign(context.choice, choice);
    seen.state = "form";
    await submitPledge();
    const { amount, currency, cover_fees } = seen.sent.at(-1);
    return [amount, currency, cover_fees];
  };
  assert.deepEqual(await send({}), [700, "USD", undefined]);
  assert.deepEqual(await send({ coversFees: true }), [700, "USD", true]);
  assert.deepEqual(await send({ currencyOption: context.currencies[1] }), [700, "JPY", undefined]);
  assert.equal(new Set(seen.keys).size, 3);
});

test("what the newsroom is told of a gift says what was added for the fees", async () => {
  const answer = made();
  answer.body.fees = 52;
  const { seen, context, submitPledge } = boxWith({}, answer);
  context.choice.coversFees = true;
  await submitPledge();
  assert.deepEqual(seen.told, { name: "pledged", frequency: "monthly", amount: 700, currency: "USD", fees: 52 });
});

test("a gift that could not be paid for just then is tried again under the same key, so it is made once", async () => {
  const down = { status: 503, retryAfterSeconds: 2, body: { code: "payments_unavailable" } };
  const { seen, submitPledge } = boxWith({}, down, made());
  await submitPledge();
  const [answer, goBack, retry] = seen.what;
  assert.deepEqual([seen.state, answer.retryAfterSeconds], ["error", 2]);
  goBack();
  await retry();
  assert.deepEqual([seen.taken, seen.keys[0], seen.sent[0]], [CHECKOUT, seen.keys[1], seen.sent[1]]);
});

for (const [code, said] of [
  ["amount_below_minimum", "Не меньше 2 $."],
  ["amount_above_maximum", "Не больше 1 000 $."],
])
  test(`${code} is said in the box's own words, with the limit of the chosen frequency`, async () => {
    const { seen, submitPledge } = boxWith({}, refused(code, { errors: { amount: ["For operators."] } }));
    await submitPledge();
    assert.deepEqual([seen.state, plain(seen.said)], ["invalid", said]);
  });

for (const answer of [refused("invalid_email"), refused("validation_failed", { errors: { email: ["Too long."] } })])
  test(`an address refused as ${answer.body.code} is explained in the box's own words`, async () => {
    const { seen, submitReminder } = boxWith({}, answer);
    await submitReminder(true);
    assert.deepEqual([seen.state, seen.said], ["invalid", RUSSIAN.email_invalid]);
  });

for (const code of ["currency_not_accepted", "frequency_not_offered", "amount_of_a_new_kind", "campaign_not_found"])
  test(`${code} leads to where a reader can try again`, async () => {
    const { seen, submitPledge } = boxWith({}, refused(code), made());
    await submitPledge();
    const [, goBack, retry] = seen.what;
    assert.equal(seen.state, "error");
    goBack();
    await retry();
    assert.equal(seen.taken, CHECKOUT);
    assert.notEqual(seen.keys[0], seen.keys[1]);
  });

for (const [repeat, said] of [
  [false, { months: 3 }],
  [true, { months: 3, repeat: true }],
])
  test(`a reminder that ${repeat ? "comes again" : "comes once"} is asked for and told as such`, async () => {
    const { seen, context, submitReminder } = boxWith({}, { status: 201, body: { due_on: "2026-12-23" } });
    Object.assign(context.choice, { months: 3, repeat, label: "For readers." });
    await submitReminder(true);
    const { email, months, repeat: again, label } = seen.sent[0];
    assert.deepEqual([email, months, again, label], ["reader@example", 3, repeat || undefined, undefined]);
    assert.deepEqual([seen.state, seen.told], ["reminder-set", { name: "reminded", ...said }]);
  });

test("a reminder keeps the amount and the currency that the reader had chosen", async () => {
  const { seen, context, submitReminder } = boxWith({}, { status: 201, body: { due_on: "2026-12-23" } });
  Object.assign(context.choice, { currencyOption: context.currencies[1], customAmount: "900", coversFees: true });
  await submitReminder(true);
  const { amount, currency, cover_fees } = seen.sent[0];
  assert.deepEqual([amount, currency, cover_fees], [900, "JPY", undefined]);
});

test("a reminder that the campaign no longer currencies leads to where a reader can try again", async () => {
  const { seen, submitReminder } = boxWith({}, refused("reminder_choice_not_offered", { errors: { months: ["3 or 6."] } }));
  await submitReminder(true);
  assert.deepEqual([seen.state, seen.said], ["error", ""]);
});
