/** One box on one page: brings the campaign, and leads from one view to the next. */

import { request } from "./api.js";
import { initialChoice } from "./choice.js";
import { createFrame } from "./frame.js";
import { languageAround, languageOf } from "./language.js";
import { currencyOptions } from "./currencies.js";
import { requestsFrom } from "./requests.js";
import { textsWith } from "./texts.js";
import { pledgeView } from "./views/pledge.js";
import { reminderSetView, reminderView } from "./views/reminder.js";
import { retryButton, errorView, fallbackView } from "./views/error.js";

/** @param {HTMLElement} host the element on the newsroom's page */
export function openBox(host) {
  const frame = createFrame(host, () => {
    frame.setState("dismissed");
    host.hidden = true;
    tell("dismissed");
  });
  const slug = () => host.getAttribute("campaign") ?? "default";
  /** Only the newest request for the campaign may fill the box. */
  let newest = 0;
  let comeBack = () => {};

  /** @type {Tell} */
  const tell = (name, detail) => {
    const told = { campaign: slug(), variant: host.getAttribute("variant") || undefined, ...detail };
    host.dispatchEvent(new CustomEvent(`support-box:${name}`, { bubbles: true, composed: true, detail: told }));
  };

  /** @type {SendRequest} */
  const sendRequest = (path, body, key) => {
    const base = host.getAttribute("api") ?? new URL(import.meta.url).origin;
    return request(base.replace(/\/+$/, "") + path, body, key);
  };

  /** @param {boolean} moveFocus only after the reader asked for it, never while they read */
  async function load(moveFocus = false) {
    const turn = ++newest;
    const english = textsWith();
    frame.hideClose();
    frame.show("loading", fallbackView(english("loading")), moveFocus);
    const asked = languageAround(host);
    const query = asked && `?lang=${asked}`;
    const response = await sendRequest(`/v1/campaigns/${encodeURIComponent(slug())}${query}`);
    if (turn !== newest) return;
    if (response.status === 200) return fill(response.body, asked, moveFocus);
    const again = retryButton(english, response.retryAfterSeconds, () => load(true));
    frame.show("error", fallbackView(english("error_loading"), again), moveFocus);
  }

  /** @param {Campaign} campaign @param {string} asked @param {boolean} moveFocus */
  function fill(campaign, asked, moveFocus) {
    const lang = languageOf(asked, campaign.lang);
    const text = textsWith(campaign.texts);
    const currencies = currencyOptions(campaign, lang);
    const room = {
      campaign,
      currencies,
      choice: initialChoice(campaign, currencies[0]),
      lang,
      text,
      setState: frame.setState,
      showPledge: () => frame.show("form", pledgeView(desk)),
      showReminder: () => frame.show("reminder-form", reminderView(desk)),
      /** @param {string} dueOn */
      showReminderCreated: (dueOn) => frame.show("reminder-set", reminderSetView(desk, dueOn)),
      /** @type {Desk["showError"]} */
      showError: (response, goBack, retry) => frame.show("error", errorView(desk, response, goBack, retry)),
    };
    const requests = requestsFrom(room, frame, host, sendRequest, tell);
    /** @type {Desk} */
    const desk = { ...room, ...requests };
    comeBack = () => {
      requests.resetKey();
      if (frame.isState("submitting")) desk.showPledge();
    };
    frame.showClose(lang, text("close"));
    frame.show("form", pledgeView(desk), moveFocus);
  }

  return {
    load,
    /** The browser brought the page back as it was left, on its way to checkout. */
    comeBack: () => comeBack(),
  };
}
