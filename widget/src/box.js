/** Loads the campaign of one <support-box> and switches between its views. */

import { request } from "./api.js";
import { commonFields, initialChoice, readAmount } from "./choice.js";
import { currencyOptions } from "./currencies.js";
import { newTabLink } from "./dom.js";
import { createFrame } from "./frame.js";
import { chooseLanguage, pageLanguage } from "./language.js";
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
  const sendRequest = async (path, body, key, cache) => {
    controller = new AbortController();
    const response = await request(new URL(path, import.meta.url).href, body, key, controller, cache);
    // A box that the page has removed does nothing more.
    return host.isConnected ? response : new Promise(() => {});
  };

  /** @param {boolean} moveFocus true only if the reader asked to load, because a page load must not move the focus */
  async function loadCampaign(moveFocus = false) {
    const loadId = ++latestLoad;
    const text = createTranslator();
    frame.hideClose();
    frame.showView("loading", fallbackView(text("loading")), moveFocus);
    const loaded = await fetchCampaign();
    if (loadId !== latestLoad) return;
    if (loaded.offers) return createContext(loaded).showPledge(moveFocus);
    const retry = retryButton(text, loaded.response.retryAfterSeconds, () => loadCampaign(true));
    frame.showView("error", fallbackView(text("error_loading"), retry), moveFocus);
  }

  /** @param {RequestCache} [cache] @returns {Promise<LoadedCampaign>} */
  async function fetchCampaign(cache) {
    const requested = pageLanguage(host);
    const lang = requested && `&lang=${requested}`;
    const path = `/v1/campaigns/${encodeURIComponent(slug())}?texts=full${lang}`;
    const response = await sendRequest(path, undefined, undefined, cache);
    const { status, body } = response;
    const offers = status === 200 && (hasOffers(body) ? await loadPart("offers").catch(() => {}) : {});
    return { response, offers, requested };
  }

  /** Prepares to show a campaign. @param {LoadedCampaign} loaded @returns {CheckoutContext} */
  function createContext({ response, offers, requested }) {
    /** @type {Campaign} */
    const campaign = response.body;
    const lang = chooseLanguage(requested, campaign.lang);
    const text = createTranslator(campaign.texts, lang);
    const currencies = currencyOptions(campaign, lang);
    const choice = initialChoice(campaign, currencies[0]);
    const { isState, setBusy, setState, showView, watchView } = frame;
    /** @type {Checkout | undefined} */
    let checkout;

    /** Keeps the checkout, so that a retry is the same pledge. @param {typeof import("./parts/checkout.js").default} create */
    const getCheckout = (create) => (checkout ??= create(context));

    /**
     * Opens a part once it is loaded, unless the reader does something else meanwhile. The plain page can do the same.
     * @param {keyof typeof PART_HASHES} name
     * @param {(part: any) => void} open
     * @param {() => void} goBack
     * @param {() => void} retry
     * @param {TextKey} label of the link to the plain page
     * @param {Record<string, string>} [query]
     */
    async function openPart(name, open, goBack, retry, label, query) {
      const isStillShown = watchView();
      const part = await loadPart(name).catch(() => {});
      if (!isStillShown()) return;
      if (part) return open(part);
      const { frequency, amount, currency } = context.commonFields();
      const search = new URLSearchParams({ ...query, lang, frequency, amount: `${amount ?? ""}`, currency });
      const href = new URL(`/support/${campaign.slug}?${search}`, import.meta.url).href;
      const link = newTabLink(href, text(label), "link");
      context.showError({ status: 0, retryAfterSeconds: 0, body: {} }, goBack, retry, link);
    }

    /** @type {CheckoutContext} */
    const context = {
      campaign,
      currencies,
      choice,
      emit,
      host,
      isState,
      lang,
      offers: offers || {},
      sendRequest,
      setBusy,
      setState,
      showView,
      text,
      watchView,
      commonFields: () => commonFields(context),
      preloadPart: (name) => void loadPart(name).catch(() => {}),
      showFieldError: ({ errorKey, values }) => frame.showFieldError(text(errorKey, values)),
      fetchCampaign,
      createContext,
      async showChangedOffer(response, isReminder) {
        const isStillShown = watchView();
        const create = await loadPart("checkout").catch(() => {});
        if (!isStillShown()) return true;
        return create && getCheckout(create).showChangedOffer(response, isReminder);
      },
      showPledge: (moveFocus) => showView("form", pledgeView(context), moveFocus !== false),
      showError: (response, goBack, retry, link) =>
        showView("error", errorView(context, response, goBack, retry, link)),
      /** Waits for the checkout. A choice that can be sent disables the form at once, so it is sent once. */
      submitPledge() {
        if (isState("submitting")) return;
        if (readAmount(choice)) setBusy(text("submitting"));
        const { showPledge, submitPledge } = context;
        openPart(
          "checkout",
          (create) => getCheckout(create).submitPledge(),
          showPledge,
          submitPledge,
          "continue_on_page",
        );
      },
      showReminder() {
        /** @param {typeof import("./parts/reminder.js").default} show */
        const show = (show) => show(context);
        // A function of its own for going back, because no payment failed.
        const goBack = () => context.showPledge();
        openPart("reminder", show, goBack, context.showReminder, "remind_me_later", { remind: "" });
      },
    };
    restoreForm = () => {
      checkout?.resetKey();
      if (isState("submitting") || isState("error")) context.showPledge();
    };
    frame.setBrand(campaign.brand);
    frame.showClose(lang, text("close"));
    return context;
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
