/** Loads the campaign of one <support-box> and switches between its views. */

import { request } from "./api.js";
import { initialChoice } from "./choice.js";
import { currencyOptions } from "./currencies.js";
import { button, createElement, newTabLink } from "./dom.js";
import { createFrame } from "./frame.js";
import { chooseLanguage, pageLanguage } from "./language.js";
import { createRequests } from "./requests.js";
import { loadPart } from "./parts.js";
import { createTranslator } from "./texts.js";
import { errorView, fallbackView, retryButton } from "./views/error.js";
import { pledgeView } from "./views/pledge.js";

/** @typedef {ReturnType<typeof createBox>} Box */

/** Whether a campaign needs the part for currencies and fees. @param {Campaign} campaign */
const hasOffers = ({ other_currencies, cover_fees }) => cover_fees || other_currencies?.[0];

/** @param {HTMLElement} host the <support-box> element */
export function createBox(host) {
  const frame = createFrame(host, () => {
    frame.setState("dismissed");
    host.hidden = true;
    emit("dismissed");
  });
  const slug = () => host.getAttribute("campaign") ?? "default";
  /** Only the latest load renders its campaign. */
  let latestLoad = 0;
  let restoreForm = () => {};
  let controller = new AbortController();

  /** @type {Emit} */
  const emit = (name, properties) => {
    const detail = { campaign: slug(), variant: host.getAttribute("variant") || undefined, ...properties };
    host.dispatchEvent(new CustomEvent(`support-box:${name}`, { bubbles: true, composed: true, detail }));
  };

  /** @type {SendRequest} */
  const sendRequest = async (path, body, key) => {
    controller = new AbortController();
    const response = await request(new URL(path, import.meta.url).href, body, key, controller);
    // A box that the page has removed does nothing more.
    return host.isConnected ? response : new Promise(() => {});
  };

  /** @param {boolean} moveFocus true only if the reader asked to load, because a page load must not move the focus */
  async function loadCampaign(moveFocus = false) {
    const loadId = ++latestLoad;
    const text = createTranslator();
    frame.hideClose();
    frame.showView("loading", fallbackView(text("loading")), moveFocus);
    const requested = pageLanguage(host);
    const lang = requested && `&lang=${requested}`;
    const path = `/v1/campaigns/${encodeURIComponent(slug())}?texts=full${lang}`;
    const { status, body, retryAfterSeconds } = await sendRequest(path);
    const offers = status === 200 && (hasOffers(body) ? await loadPart("offers").catch(() => {}) : {});
    if (loadId !== latestLoad) return;
    if (offers) return renderCampaign(body, offers, requested, moveFocus);
    const retry = retryButton(text, retryAfterSeconds, () => loadCampaign(true));
    frame.showView("error", fallbackView(text("error_loading"), retry), moveFocus);
  }

  /**
   * @param {Campaign} campaign
   * @param {Partial<OffersPart>} offers
   * @param {string} requested a language tag
   * @param {boolean} moveFocus
   */
  function renderCampaign(campaign, offers, requested, moveFocus) {
    const lang = chooseLanguage(requested, campaign.lang);
    const text = createTranslator(campaign.texts, lang);
    const currencies = currencyOptions(campaign, lang);
    const baseContext = {
      campaign,
      currencies,
      choice: initialChoice(campaign, currencies[0]),
      lang,
      offers,
      text,
      setState: frame.setState,
      showPledge: () => frame.showView("form", pledgeView(context)),
      preloadReminder: () => loadPart("reminder").catch(() => {}),
      showReminder,
      /** @type {ViewContext["showError"]} */
      showError: (response, goBack, retry, link) =>
        frame.showView("error", errorView(context, response, goBack, retry, link)),
      /** @param {string} url a page that refuses to be framed */
      leaveFrame(url) {
        // A sandboxed frame may not lead the top window anywhere, and a browser may block a tab that no click opens.
        open(url, "_top") ?? open(url);
        const link = createElement("a", { href: url, target: "_blank", part: "link" }, text("continue"));
        frame.showView("submitting", { nodes: [link, button("link", text("back"), context.showPledge)] });
      },
    };
    /** Loads the reminder form. If that fails, the plain page has the same form. */
    async function showReminder() {
      const isStillShown = frame.watchView();
      const { isState, setBusy, showView } = frame;
      const part = await loadPart("reminder").catch(() => {});
      if (!isStillShown()) return;
      if (part) return part({ ...context, emit, isState, sendRequest, setBusy, showView });
      const { frequency, amount, currency } = context.commonFields();
      const query = new URLSearchParams({ remind: "", lang, frequency, amount: `${amount}`, currency });
      const href = new URL(`/support/${campaign.slug}?${query}`, import.meta.url).href;
      const link = newTabLink(href, text("remind_me_later"), "link");
      // A function of its own, because no payment failed.
      context.showError({ status: 0, retryAfterSeconds: 0, body: {} }, () => context.showPledge(), showReminder, link);
    }
    const requests = createRequests(baseContext, frame, host, sendRequest, emit);
    /** @type {ViewContext} */
    const context = { ...baseContext, ...requests };
    restoreForm = () => {
      requests.resetKey();
      if (frame.isState("submitting") || frame.isState("error")) context.showPledge();
    };
    frame.setBrand(campaign.brand);
    frame.showClose(lang, text("close"));
    frame.showView("form", pledgeView(context), moveFocus);
  }

  return {
    load: () => loadCampaign(),
    /** Re-enables the form after the browser restores the page from its back/forward cache. */
    restore: () => restoreForm(),
    /** Aborts what is under way. Returns whether the campaign must be loaded again. */
    stop() {
      latestLoad++;
      controller.abort();
      restoreForm();
      return frame.isState("loading") || frame.isState("error");
    },
  };
}
