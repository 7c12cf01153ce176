import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";
import { commonFields } from "../src/choice.js";
import { currencyOptions } from "../src/currencies.js";
import { createReminderRequest } from "../src/parts/reminder-request.js";
import { createCheckout } from "../src/parts/checkout-request.js";
import { createTranslator } from "../src/texts.js";
import { tomorrow } from "../src/parts/days.js";

const RUSSIAN = {
  amount_below_minimum: "Не меньше {limit}.",
  amount_above_maximum: "Не больше {limit}.",
  email_invalid: "Введите адрес.",
};
const CHECKOUT = "https://pay.example/1";
const created = () => ({ status: 201, body: { checkout_url: CHECKOUT, frequency: "monthly", currency: "USD" } });
const rejected = (code, more) => ({ status: 422, body: { code, detail: "For operators.", ...more } });
/** Returns the day that many days from today. */
const isoDay = (days) => tomorrow(new Date(Date.now() + (days - 1) * 86_400_000));
const plain = (text) => text?.replace(/\u00a0/g, " ");

/** Creates the requests without a DOM, and records the state, the requests, the events and the redirect. */
function setUp(attributes, ...responses) {
  const recorded = { state: "form", error: "", sent: [], keys: [], redirect: "" };
  const show = (state) => (...args) => Object.assign(recorded, { state, args });
  const frame = {
    isState: (state) => recorded.state === state,
    setBusy: () => show("submitting")(),
    watchView: () => () => recorded.state === "submitting",
  };
  const option = { frequency: "monthly", presets: [700], default: 700, minimum: 200, maximum: 100000 };
  const campaign = { slug: "default", currency: "USD", exponent: 2, step: 1 };
  campaign.frequencies = [{ ...option, frequency: "once", minimum: 1 }, option];
  campaign.reminder = {};
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
    showError: show("error"),
  };
  const host = { getAttribute: (name) => attributes[name] ?? null };
  const sendRequest = async (_path, body, key) => {
    assert.equal(recorded.state, "submitting");
    recorded.sent.push(JSON.parse(body));
    recorded.keys.push(key);
    return responses.shift();
  };
  globalThis.location = {
    protocol: "https:",
    origin: "https://paper.example",
    pathname: "/article",
    href: "https://paper.example/article",
    assign: (url) => Object.assign(recorded, { redirect: url }),
  };
  const emit = (name, detail) => Object.assign(recorded, { event: { name, ...detail } });
  const partContext = {
    ...context,
    ...frame,
    commonFields: () => commonFields(context),
    emit,
    host,
    sendRequest,
    fetchCampaign: async (cache) => {
      recorded.cache = cache;
      return recorded.loaded ?? { response: { status: 0, body: {} } };
    },
    createContext: () => recorded.next,
    showChangedOffer: async () => false,
    showFieldError: ({ errorKey, values }) => Object.assign(recorded, { state: "invalid", error: context.text(errorKey, values) }),
    submitPledge: () => checkout.submitPledge(),
  };
  const checkout = createCheckout(partContext);
  const submitReminder = createReminderRequest(partContext, {
    showForm: show("reminder-form"),
    showCreated: show("reminder-set"),
    showDayError: show("day-error"),
  });
  return { recorded, context, host, submitReminder, ...checkout };
}

/** @type {import("node:test").Mock<typeof console.warn>} */
let warn;
beforeEach(() => {
  mock.restoreAll();
  warn = mock.method(console, "warn", () => {});
});

test("an invalid return-url is left out with one warning", async () => {
  const { recorded, submitPledge } = setUp({ "return-url": "https://[" }, { status: 0, body: {} }, created());
  await submitPledge();
  assert.equal(recorded.state, "error");
  await submitPledge();
  assert.deepEqual([recorded.redirect, "return_url" in recorded.sent[0]], [CHECKOUT, false]);
  assert.equal(recorded.keys[0], recorded.keys[1]);
  assert.equal(warn.mock.callCount(), 1);
  assert.match(warn.mock.calls[0].arguments[0], /return-url="https:\/\/\["/);
});

for (const response of [
  rejected("return_url_not_allowed"),
  rejected("validation_failed", { errors: { return_url: ["Not a web address."] } }),
])
  test(`a return-url that the service rejects (${response.body.code}) does not stop the pledge`, async () => {
    const { recorded, submitPledge } = setUp({ "return-url": "/thanks" }, response, created());
    await submitPledge();
    const urls = recorded.sent.map((body) => body.return_url);
    assert.deepEqual([urls, recorded.redirect], [["https://paper.example/thanks", undefined], CHECKOUT]);
    assert.notEqual(recorded.keys[0], recorded.keys[1]);
    assert.equal(warn.mock.callCount(), 1);
  });

for (const [variant, sent, warnings] of [
  [undefined, undefined, 0],
  ["", undefined, 0],
  ["article-foot", "article-foot", 0],
  ["A_1.b-2", "A_1.b-2", 0],
  ["v".repeat(64), "v".repeat(64), 0],
  ["v".repeat(65), undefined, 1],
  ["article foot", undefined, 1],
  ["x;=1+1;y", undefined, 1],
  ["вариант", undefined, 1],
  ["a\n", undefined, 1],
])
  test(`a pledge goes without a variant that the service does not take (${JSON.stringify(variant)})`, async () => {
    const { recorded, submitPledge } = setUp({ variant }, created());
    await submitPledge();
    assert.deepEqual([recorded.sent[0].variant, recorded.redirect], [sent, CHECKOUT]);
    assert.equal(warn.mock.callCount(), warnings);
  });

test("a retry after a rejected return-url keeps its idempotency key", async () => {
  const lost = { status: 0, body: {} };
  const responses = [rejected("return_url_not_allowed"), lost, created()];
  const { recorded, submitPledge } = setUp({ "return-url": "/thanks" }, ...responses);
  await submitPledge();
  assert.equal(recorded.state, "error");
  await submitPledge();
  assert.deepEqual([recorded.sent.length, recorded.keys[2], recorded.redirect], [3, recorded.keys[1], CHECKOUT]);
  assert.equal(warn.mock.callCount(), 1);
});

const inProgress = () => ({ status: 409, body: { code: "request_in_progress" } });

test("a request in progress is sent again with the same idempotency key until it completes", async (t) => {
  t.mock.method(globalThis, "setTimeout", (callback) => queueMicrotask(callback));
  const { recorded, submitPledge } = setUp({}, inProgress(), inProgress(), created());
  await submitPledge();
  assert.deepEqual([recorded.sent.length, recorded.redirect], [3, CHECKOUT]);
  assert.equal(new Set(recorded.keys).size, 1);
});

test("retries of a request in progress stop at the limit", async (t) => {
  t.mock.method(globalThis, "setTimeout", (callback) => queueMicrotask(callback));
  const { recorded, submitPledge } = setUp({}, ...Array.from({ length: 10 }, inProgress));
  await submitPledge();
  assert.deepEqual([recorded.sent.length, recorded.state], [6, "error"]);
});

test("a box that is closed while a request is in progress sends no retry", async (t) => {
  const { recorded, submitPledge } = setUp({}, inProgress(), created());
  t.mock.method(globalThis, "setTimeout", (callback) => {
    recorded.state = "dismissed";
    queueMicrotask(callback);
  });
  await submitPledge();
  assert.deepEqual([recorded.sent.length, recorded.redirect], [1, ""]);
});

test("a return-url rejection of a request without one is not retried", async () => {
  const rejection = rejected("return_url_not_allowed");
  const { recorded, submitPledge } = setUp({ "return-url": "/thanks" }, rejection, rejection);
  await submitPledge();
  assert.deepEqual([recorded.state, recorded.sent.length], ["error", 2]);
});

test("a closed box does not redirect to the checkout after a retry", async () => {
  const { recorded, submitPledge } = setUp({ "return-url": "/thanks" }, rejected("return_url_not_allowed"));
  const pending = submitPledge();
  recorded.state = "dismissed";
  await pending;
  assert.deepEqual([recorded.state, recorded.sent.length, recorded.redirect], ["dismissed", 1, ""]);
});

test("a pledge sends its currency, and covers fees only if the reader chose to", async () => {
  const { recorded, context, submitPledge } = setUp({}, created(), created(), created());
  const send = async (choice) => {
    Object.assign(context.choice, choice);
    recorded.state = "form";
    await submitPledge();
    const { amount, currency, cover_fees } = recorded.sent.at(-1);
    return [amount, currency, cover_fees];
  };
  assert.deepEqual(await send({}), [700, "USD", undefined]);
  assert.deepEqual(await send({ coversFees: true }), [700, "USD", true]);
  assert.deepEqual(await send({ currencyOption: context.currencies[1] }), [700, "JPY", undefined]);
  assert.equal(new Set(recorded.keys).size, 3);
});

test("the pledged event includes the covered fees", async () => {
  const response = created();
  response.body.fees = 52;
  const { recorded, context, submitPledge } = setUp({}, response);
  context.choice.coversFees = true;
  await submitPledge();
  assert.deepEqual(recorded.event, { name: "pledged", frequency: "monthly", amount: 700, currency: "USD", fees: 52 });
});

test("a retry after a payment outage keeps its idempotency key", async () => {
  const down = { status: 503, retryAfterSeconds: 2, body: { code: "payments_unavailable" } };
  const { recorded, submitPledge } = setUp({}, down, created());
  await submitPledge();
  const [response, goBack, retry] = recorded.args;
  assert.deepEqual([recorded.state, response.retryAfterSeconds], ["error", 2]);
  goBack();
  await retry();
  const { keys, redirect, sent } = recorded;
  assert.deepEqual([redirect, keys[0], sent[0]], [CHECKOUT, keys[1], sent[1]]);
});

test("a refusal about the offer shows today's, with the choice that still fits", async () => {
  const { recorded, context, submitPledge } = setUp({}, rejected("amount_below_minimum"));
  const [today] = context.currencies;
  recorded.loaded = { response: { status: 200, body: { ...context.campaign, name: "Today" } }, offers: {}, requested: "" };
  recorded.next = {
    campaign: { reminder: { options: [] } },
    currencies: [{ ...today, frequencies: [{ ...today.frequencies[1], presets: [900], default: 900, minimum: 800 }] }],
    choice: {},
    lang: "ru",
    text: context.text,
    showPledge: () => Object.assign(recorded, { state: "form" }),
  };
  context.choice.email = "kept@example.org";
  await submitPledge();
  const { choice, notice } = recorded.next;
  assert.deepEqual([recorded.state, recorded.cache], ["form", "reload"]);
  assert.equal(plain(notice), "The choices here have just changed. Please check yours. Не меньше 8 $.");
  assert.deepEqual([choice.frequency, choice.preset, choice.email], ["monthly", 900, "kept@example.org"]);
});

test("a lost connection does not make the next try another pledge", async () => {
  const { recorded, submitPledge } = setUp({}, { status: 0, body: {} }, created());
  await submitPledge();
  assert.deepEqual([recorded.state, recorded.cache], ["error", "reload"]);
  await submitPledge();
  assert.equal(recorded.keys[0], recorded.keys[1]);
});

for (const response of [rejected("invalid_email"), rejected("validation_failed", { errors: { email: ["Too long."] } })])
  test(`an email address rejected as ${response.body.code} shows the widget's text`, async () => {
    const { recorded, submitReminder } = setUp({}, response);
    await submitReminder();
    assert.deepEqual([recorded.state, recorded.error], ["invalid", RUSSIAN.email_invalid]);
  });

test("an address that the mail server cannot reach shows the text of the service", async () => {
  const message = "Мы не можем отправить письмо на этот адрес.";
  const { recorded, context, submitReminder } = setUp({}, rejected("address_not_supported", { errors: { email: [message] } }));
  context.choice.email = "josé@example.org";
  await submitReminder();
  assert.equal(recorded.sent[0].email, "josé@example.org");
  assert.deepEqual([recorded.state, recorded.error], ["invalid", message]);
});

for (const [email, error] of [["", "email_missing"], ["reader", "email_invalid"]])
  test(`the address "${email}" is not sent`, async () => {
    const { recorded, context, submitReminder } = setUp({});
    context.choice.email = email;
    await submitReminder();
    assert.deepEqual([recorded.state, recorded.sent.length], ["invalid", 0]);
    assert.equal(recorded.error, context.text(error));
  });

for (const code of ["currency_not_accepted", "frequency_not_offered", "amount_of_a_new_kind", "campaign_not_found"])
  test(`${code} shows the error view, and a retry gets a new idempotency key`, async () => {
    const { recorded, submitPledge } = setUp({}, rejected(code), created());
    await submitPledge();
    const [, goBack, retry] = recorded.args;
    assert.equal(recorded.state, "error");
    goBack();
    await retry();
    assert.equal(recorded.redirect, CHECKOUT);
    assert.notEqual(recorded.keys[0], recorded.keys[1]);
  });

for (const [repeat, detail] of [
  [false, { months: 3 }],
  [true, { months: 3, repeat: true }],
])
  test(`a ${repeat ? "recurring" : "single"} reminder sends and emits its interval`, async () => {
    const { recorded, context, submitReminder } = setUp({}, { status: 201, body: { due_on: "2026-12-23" } });
    Object.assign(context.choice, { months: 3, repeat, label: "For readers." });
    await submitReminder();
    const { email, months, repeat: again, label } = recorded.sent[0];
    assert.deepEqual([email, months, again, label], ["reader@example", 3, repeat || undefined, undefined]);
    assert.deepEqual([recorded.state, recorded.event], ["reminder-set", { name: "reminded", ...detail }]);
  });

test("a reminder sends the chosen amount and currency", async () => {
  const { recorded, context, submitReminder } = setUp({}, { status: 201, body: { due_on: "2026-12-23" } });
  Object.assign(context.choice, { currencyOption: context.currencies[1], customAmount: "900", coversFees: true });
  await submitReminder();
  const { amount, currency, cover_fees } = recorded.sent[0];
  assert.deepEqual([amount, currency, cover_fees], [900, "JPY", undefined]);
});

test("a reminder option that the campaign no longer offers shows the error view", async () => {
  const response = rejected("reminder_choice_not_offered", { errors: { months: ["3 or 6."] } });
  const { recorded, submitReminder } = setUp({}, response);
  await submitReminder();
  assert.deepEqual([recorded.state, recorded.error], ["error", ""]);
});

test("a picked day is sent instead of an interval", async () => {
  const { recorded, context, submitReminder } = setUp({}, { status: 201, body: { due_on: "2026-12-23" } });
  Object.assign(context.choice, { picksDay: true, day: tomorrow(), repeat: true });
  await submitReminder();
  const { due_on, months, repeat } = recorded.sent[0];
  assert.deepEqual([due_on, months, repeat], [tomorrow(), undefined, undefined]);
  assert.deepEqual([recorded.state, recorded.event], ["reminder-set", { name: "reminded", due_on: tomorrow() }]);
});

for (const day of [undefined, "", isoDay(0), isoDay(-1), isoDay(370), "2026-02"])
  test(`the day ${day} is not sent`, async () => {
    const { recorded, context, submitReminder } = setUp({});
    Object.assign(context.choice, { picksDay: true, day });
    await submitReminder();
    assert.deepEqual([recorded.state, recorded.sent.length], ["day-error", 0]);
  });

test("a day that the service rejects shows the error at its field", async () => {
  const response = rejected("due_on_out_of_range", { errors: { due_on: ["For operators."] } });
  const { recorded, context, submitReminder } = setUp({}, response);
  Object.assign(context.choice, { picksDay: true, day: tomorrow() });
  await submitReminder();
  assert.deepEqual([recorded.state, recorded.sent.length], ["day-error", 1]);
});

test("a day that the campaign no longer lets readers pick shows the error view", async () => {
  const response = rejected("reminder_choice_not_offered", { errors: { due_on: ["For operators."] } });
  const { recorded, context, submitReminder } = setUp({}, response);
  Object.assign(context.choice, { picksDay: true, day: tomorrow() });
  await submitReminder();
  assert.equal(recorded.state, "error");
});

for (const [title, sent] of [
  ["The ferry did not sail", "The ferry did not sail"],
  ["", undefined],
  [` ${"🕯".repeat(300)}`, "🕯".repeat(200)],
])
  test(`a service that takes the page's title gets ${title.length} characters in whole`, async (t) => {
    globalThis.document = { title };
    t.after(() => delete globalThis.document);
    const { recorded, context, submitReminder } = setUp({}, { status: 201, body: { due_on: "2026-12-23" } });
    context.campaign.reminder = { pick_date: false };
    await submitReminder();
    assert.equal(recorded.sent[0].page_title, sent);
  });

test("an older service, which refuses a title, gets none", async () => {
  const { recorded, submitReminder } = setUp({}, { status: 201, body: { due_on: "2026-12-23" } });
  await submitReminder();
  assert.ok(!("page_title" in recorded.sent[0]));
});
