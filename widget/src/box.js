/** Loads the campaign of one <support-box> and switches between its views. */

import { request } from "./api.js";
import { commonFields, initialChoice, readAmount } from "./choice.js";
import { currencyOptions } from "./currencies.js";
import { button, newTabLink } from "./dom.js";
import { events } from "./events.js";
import { createFrame } from "./frame.js";
import { chooseLanguage, pageLanguage } from "./language.js";
import { loadPart } from "./parts.js";
import { createTranslator } from "./texts.js";
import { errorView, fallbackView, retryButton } from "./views/error.js";
import { pledgeView } from "./views/pledge.js";

/** @typedef {ReturnType<typeof createBox>} Box */

/** What the event for an error says. @param {number} status @param {any} body */
const errorCode = (status, body) => body.code ?? (status ? "unexpected" : "unreachable");

/** Whether a campaign needs the part for currencies and fees. @param {Campaign} campaign */
const hasOffers = ({ other_currencies, cover_fees }) => cover_fees || other_currencies?.[0];

/** Boxes with these attributes need the part for placement, which reads them. */
const PLACEMENT =
  "[amount],[compact],[currency],[frequency],[placement],[reminder],[storage],[theme]:not([theme=light],[theme=dark])";

/** @param {HTMLElement} host the <support-box> element */
export function createBox(host) {
  const frame = createFrame(host, dismiss);
  /** @type {Placement | undefined} */
  let placement;
  /** What the latest campaign is shown with. @type {CheckoutContext | undefined} */
  let current;
  /** Whether the campaign must be loaded before the form is shown: not loaded yet, or the attributes changed since. */
  let isStale = true;
  /** The path of the campaign that is shown. */
  let shownPath = "";
  const slug = () => host.getAttribute("campaign") ?? "default";
  /** Only the latest load renders its campaign. */
  let latestLoad = 0;
  let restoreForm = () => {};
  let controller = new AbortController();

  /** @type {Emit} */
  const emit = (name, properties, pledge) => {
    const detail = { campaign: slug(), variant: host.getAttribute("variant") || undefined, ...properties };
    if (current) placement?.remember(name, detail, current.campaign, pledge);
    const cancelable = name === "continue";
    const event = new CustomEvent(`support-box:${name}`, { bubbles: true, composed: true, cancelable, detail });
    events.push(event);
    return host.dispatchEvent(event);
  };

  /** Shows the form, where the box belongs. @param {boolean} moveFocus @param {boolean} [isOpen] */
  function show(moveFocus, isOpen) {
    if (isStale) return loadCampaign(moveFocus, isOpen);
    const { showPledge, text } = /** @type {CheckoutContext} */ (current);
    showPledge(moveFocus);
    placement?.show(text("continue"), isOpen);
  }

  function dismiss() {
    const { text } = /** @type {CheckoutContext} */ (current);
    // A load that is under way must not show the box again.
    latestLoad++;
    emit("dismissed");
    const undo = button("link", text("undo"), () => {
      placement?.undo();
      // What is loaded anew may not be due, but the reader asked for it.
      show(true, isStale);
    });
    frame.setState("dismissed");
    const moveFocus = placement?.hide() ?? true;
    frame.showView("dismissed", { message: text("dismissed"), nodes: [" ", undo] }, moveFocus);
  }

  /** @type {SendRequest} */
  const sendRequest = async (path, body, key, cache) => {
    controller = new AbortController();
    const response = await request(new URL(path, import.meta.url).href, body, key, controller, cache);
    // A box that the page has removed does nothing more.
    return host.isConnected ? response : new Promise(() => {});
  };

  /** @param {boolean} moveFocus true only if the reader asked to load, because a page load must not move the focus */
  async function loadCampaign(moveFocus = false, isOpen = false) {
    const loadId = ++latestLoad;
    isStale = true;
    const text = createTranslator();
    // Without the part the box is an ordinary one.
    if (host.matches(PLACEMENT)) placement ??= (await loadPart("placement").catch(() => {}))?.({ host, dismiss, sendRequest });
    const isDue = isOpen || !placement || (await placement.isDue());
    if (loadId !== latestLoad) return;
    if (!isDue) return (host.hidden = true);
    const path = campaignPath();
    const isShown = path === shownPath;
    const isOverlay = placement?.isOverlay();
    // A campaign that is shown already stays while its attributes are read again.
    if (!isShown && !isOverlay) {
      frame.showView("loading", fallbackView(text("loading")), moveFocus);
    }
    const loaded = await fetchCampaign();
    if (loadId !== latestLoad) return;
    if (loaded.offers) {
      isStale = false;
      shownPath = path;
      createContext(loaded);
      show(moveFocus, isOpen);
      if (!isShown) viewObserver.observe(frame.box);
      return;
    }
    const { status, body, retryAfterSeconds } = loaded.response;
    emit("error", { code: errorCode(status, body) });
    if (isOverlay && !isOpen) return;
    shownPath = "";
    // A box without the part is hidden by its page alone.
    host.hidden &&= !placement;
    const retry = retryButton(text, retryAfterSeconds, () => loadCampaign(true, true));
    frame.showView("error", fallbackView(text("error_loading"), retry), moveFocus);
  }

  /** Tells once that the reader sees the box, also if the campaign changed meanwhile. */
  const viewObserver = new IntersectionObserver(([{ isIntersecting }]) => {
    if (!isIntersecting) return;
    viewObserver.disconnect();
    emit("view");
  });

  const campaignPath = (lang = pageLanguage(host)) =>
    `/v1/campaigns/${encodeURIComponent(slug())}?texts=full&part=first${lang && `&lang=${lang}`}`;

  /** @param {RequestCache} [cache] @returns {Promise<LoadedCampaign>} */
  async function fetchCampaign(cache) {
    const askedLang = pageLanguage(host);
    const response = await sendRequest(campaignPath(askedLang), undefined, undefined, cache);
    const { body } = response;
    const offers = body.frequencies && (hasOffers(body) ? await loadPart("offers").catch(() => {}) : {});
    return { response, offers, askedLang };
  }

  /** Prepares to show a campaign. @param {LoadedCampaign} loaded @returns {CheckoutContext} */
  function createContext({ response, offers, askedLang }) {
    const lang = chooseLanguage(askedLang, response.body.lang);
    const text = createTranslator(response.body.texts, lang);
    const currencies = currencyOptions(response.body, lang);
    const placed = placement?.apply(response.body, currencies, lang);
    /** @type {Campaign} */
    const campaign = placed?.campaign ?? response.body;
    const choice = { ...initialChoice(campaign, currencies[0]), ...placed?.choice };
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
      showFieldError({ errorKey, values }) {
        frame.showFieldError(text(errorKey, values));
        emit("error", { code: errorKey });
      },
      fetchCampaign,
      createContext,
      async showChangedOffer(response, isReminder) {
        const isStillShown = watchView();
        const create = await loadPart("checkout").catch(() => {});
        if (!isStillShown()) return true;
        return create && getCheckout(create).showChangedOffer(response, isReminder);
      },
      showPledge: (moveFocus) => showView("form", pledgeView(context), moveFocus !== false),
      showError(response, goBack, retry, link) {
        showView("error", errorView(context, response, goBack, retry, link));
        emit("error", { code: errorCode(response.status, response.body) });
      },
      report(name) {
        const { frequency, amount, currency } = context.commonFields();
        return emit(name, { frequency, amount, currency });
      },
      /** Waits for the checkout. A choice that can be sent disables the form at once, so it is sent once. */
      submitPledge() {
        if (isState("submitting")) return;
        if (readAmount(choice)) {
          // The page may want to do something else.
          if (!context.report("continue")) return;
          setBusy(text("submitting"));
        }
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
      // An error of a load says nothing about the campaign that was shown before.
      if (shownPath && (isState("submitting") || isState("error"))) context.showPledge();
    };
    frame.setBrand(campaign.brand);
    frame.showClose(lang, text("close"));
    return (current = context);
  }

  return {
    // A box that the reader closed stays closed, and reads its attributes again on Undo.
    load: () => (frame.isState("dismissed") ? (isStale = true) : loadCampaign()),
    open: () => show(true, true),
    reset() {
      placement?.forget();
      loadCampaign();
    },
    /** Re-enables the form after the browser restores the page from its back/forward cache. */
    restore: () => restoreForm(),
    /** Aborts what is under way. Returns whether the campaign must be loaded again. */
    stop() {
      latestLoad++;
      controller.abort();
      restoreForm();
      // What stands above the page is placed anew.
      if (placement?.isOverlay()) {
        placement.hide();
        host.hidden = isStale = true;
      }
      return isStale;
    },
  };
}
