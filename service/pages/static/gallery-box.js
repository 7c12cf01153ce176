// Brings the box of a gallery frame into the state that the frame is to show: answers its requests, and uses its form.

const { state, heading, message, texts } = document.body.dataset;
const box = document.querySelector("support-box");
const send = window.fetch;
const never = () => new Promise(() => {});
const fail = (status, code, headers) => () => Response.json({ code }, { status, headers });
const CAMPAIGN = /\/v1\/campaigns\//;
const PLEDGES = /\/v1\/pledges/;
const REMINDERS = /\/v1\/reminders/;
const inAMonth = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10);

const YEN = {
  currency: "JPY",
  exponent: 0,
  step: 1,
  frequencies: [
    { frequency: "once", presets: [500, 1500, 5000], default: 1500, minimum: 300, maximum: 500_000 },
    { frequency: "monthly", presets: [300, 700, 1500], default: 700, minimum: 300, maximum: 50_000 },
  ],
  cover_fees: { basis_points: 360, fixed: 0 },
  impact: {},
};
const TEN_AND_MORE = { frequency: "monthly", presets: [1000, 1500], default: 1000, minimum: 1000, maximum: 1_000_000 };
const setReminder = () => Response.json({ due_on: inAMonth }, { status: 201 });

// A request whose URL matches gets this answer; all others are sent.
const ANSWERS = {
  loading: [[CAMPAIGN, never]],
  "loading-failed": [[CAMPAIGN, fail(503)]],
  submitting: [[PLEDGES, never]],
  error: [[PLEDGES, fail(500)]],
  unavailable: [[PLEDGES, fail(503, "payments_unavailable", { "Retry-After": "30" })]],
  busy: [[PLEDGES, fail(429, "rate_limited", { "Retry-After": "30" })]],
  changed: [
    [PLEDGES, fail(422, "amount_below_minimum")],
    [CAMPAIGN, fromTheSecondTime(change({ frequencies: [TEN_AND_MORE] }))],
  ],
  "reminder-set": [[REMINDERS, setReminder]],
  "reminder-unconfirmed": [
    [REMINDERS, setReminder],
    [CAMPAIGN, change({ reminder: { confirm: true } })],
  ],
  closed: [[CAMPAIGN, change({ closed: true, heading, message: [message], reminder: { enabled: false } })]],
  currencies: [[CAMPAIGN, change({ cover_fees: { basis_points: 290, fixed: 30 }, other_currencies: [YEN] })]],
  "picked-day": [[CAMPAIGN, change({ reminder: { pick_date: true } })]],
  impact: [[CAMPAIGN, change({ impact: { monthly: { 700: "$7 pays for one records request" } } })]],
};

function fromTheSecondTime(answer) {
  let answerNow = (...request) => {
    answerNow = answer;
    return send(...request);
  };
  return (...request) => answerNow(...request);
}

function change(properties) {
  return async (...request) => {
    const campaign = await (await send(...request)).json();
    const reminder = { ...campaign.reminder, ...properties.reminder };
    return Response.json({ ...campaign, ...properties, reminder, texts: { ...campaign.texts, ...JSON.parse(texts) } });
  };
}

window.fetch = (url, options) => {
  const [, answer = send] = ANSWERS[state]?.find(([pattern]) => pattern.test(url)) ?? [];
  return answer(url, options);
};

const find = (selector) => box.shadowRoot?.querySelector(selector);
const press = (selector) => () => find(selector).click();
const type = (selector, value) => () => {
  const input = find(selector);
  input.value = value;
  input.dispatchEvent(new Event("input"));
};
const chooseLast = (selector) => () => {
  const select = find(selector);
  select.selectedIndex = select.length - 1;
  select.dispatchEvent(new Event("change"));
};
const BODY = "[part=body] > ";
const CONTINUE = ["form [part=submit]", press("form [part=submit]")];
const typeAmount = (value) => [[".box[data-state=form] #amount", type("#amount", value)], CONTINUE];
const REMINDER = [`${BODY}button[part=link]`, press(`${BODY}button[part=link]`)];
const SET_REMINDER = [
  REMINDER,
  ["#email", type("#email", "reader@example.org")],
  ["#email", press("form [part=submit]")],
];
// What leads to a state: what to wait for, and what to do then.
const STEPS = {
  currencies: [
    ["form select", chooseLast("form select")],
    ["[part=fees] input", press("[part=fees] input")],
  ],
  suggested: typeAmount("12,50"),
  invalid: typeAmount("1.000"),
  submitting: [CONTINUE],
  error: [CONTINUE],
  unavailable: [CONTINUE],
  busy: [CONTINUE],
  changed: [CONTINUE],
  reminder: [REMINDER],
  "picked-day": [REMINDER, ["form select", chooseLast("form select")], ["#day", type("#day", inAMonth)]],
  "reminder-set": SET_REMINDER,
  "reminder-unconfirmed": SET_REMINDER,
  dismissed: [["form [part=submit]", press("[part=close]")]],
};

const appears = (selector) =>
  new Promise((resolve) => {
    const look = () => (find(selector) ? resolve() : setTimeout(look, 50));
    look();
  });

async function act() {
  for (const [selector, step] of STEPS[state] ?? []) {
    await appears(selector);
    step();
  }
}

// The frame takes no focus until somebody uses it.
const { focus } = HTMLElement.prototype;
HTMLElement.prototype.focus = () => {};
const restoreFocus = () => (HTMLElement.prototype.focus = focus);
for (const event of ["pointerdown", "keydown"]) addEventListener(event, restoreFocus, { capture: true, once: true });
act();

const open = document.querySelector("button");
if (open) {
  open.hidden = false;
  open.addEventListener("click", () => box.open());
}
