/**
 * What a box remembers, in the browser's storage and only with storage="local": until when it stays hidden, how many
 * articles were seen, and the id of a donation until it is paid. Nothing of it says who the reader is.
 */

import { oneOf, wholeNumber } from "./attributes.js";

const DAY_MS = 24 * 60 * 60 * 1000;
/** A visit ends half an hour after its last article. */
const VISIT_MS = 30 * 60 * 1000;
const QUIET_DAYS = 30;
const QUIET_DAYS_AFTER_PAYING = 90;
/** A reminder may be due later than any other quiet days end. */
const MAX_QUIET_DAYS = 5 * 366;
const PAID = ["active", "completed", "past_due"];
const UNPAID = ["pending", "processing"];

/** The addresses of the articles that this page has shown; a single-page app shows several. @type {Set<string>} */
const seen = new Set();

/**
 * Returns the day on which a reminder is due: the same day of a later month, or the month's last day.
 * @param {{ due_on?: string, months?: number }} reminder
 */
function dueAt({ due_on, months = 1 }) {
  if (due_on) return Date.parse(due_on);
  const date = new Date();
  const day = date.getDate();
  date.setMonth(date.getMonth() + months);
  if (date.getDate() !== day) date.setDate(0);
  return date.getTime();
}

/** @param {number} maximum @param {unknown} value @returns {number | undefined} undefined if it is no such number */
const numberUpTo = (maximum, value) => (typeof value === "number" && value >= 0 && value <= maximum ? value : undefined);

/** Waits until the reader sees the page, which the browser may have loaded ahead. */
async function waitUntilSeen() {
  if (document.prerendering) await new Promise((resolve) => document.addEventListener("prerenderingchange", resolve));
}

/** @param {HTMLElement} host @param {SendRequest} sendRequest */
export function createMemory(host, sendRequest) {
  /** What Undo restores. */
  let quietBefore = 0;
  const mayStore = () => oneOf(host, "storage", ["local"]);
  const key = () => `support-box:${host.getAttribute("campaign") ?? "default"}`;

  /** Returns what is stored as far as it can be true: another script may have written anything. @returns {Memory} */
  function read() {
    // Storage throws if the reader has blocked it.
    try {
      const stored = mayStore() ? JSON.parse(localStorage.getItem(key()) ?? "") : {};
      const { pledge } = stored;
      return {
        // A clock that was wrong must not hide the box for years, or make every article one of the same visit.
        quietUntil: numberUpTo(Date.now() + MAX_QUIET_DAYS * DAY_MS, stored.quietUntil),
        lastAt: numberUpTo(Date.now(), stored.lastAt),
        articles: numberUpTo(Infinity, stored.articles),
        views: numberUpTo(Infinity, stored.views),
        pledge: typeof pledge === "string" ? pledge : undefined,
      };
    } catch {
      return {};
    }
  }

  /** @param {Memory} changes */
  function write(changes) {
    if (!mayStore()) return;
    try {
      localStorage.setItem(key(), JSON.stringify({ ...read(), ...changes }));
    } catch {
      // Without storage the box is shown again, as without the attribute.
    }
  }

  /** Counts an article once, also if its box is drawn several times. */
  function countArticle() {
    const address = location.origin + location.pathname;
    const stored = read();
    if (!seen.has(address)) {
      seen.add(address);
      const isSameVisit = Date.now() - (stored.lastAt ?? 0) < VISIT_MS;
      const articles = (isSameVisit ? (stored.articles ?? 0) : 0) + 1;
      write({ lastAt: Date.now(), articles, views: (stored.views ?? 0) + 1 });
    }
    const { articles = seen.size, views = seen.size } = read();
    return { articles, views };
  }

  /** Finds out what became of a donation for which the reader left. */
  async function checkDonation() {
    const { pledge } = read();
    if (!pledge) return;
    const { status, body } = await sendRequest(`/v1/pledges/${encodeURIComponent(pledge)}`);
    if (PAID.includes(body.status)) write({ pledge: undefined, quietUntil: Date.now() + QUIET_DAYS_AFTER_PAYING * DAY_MS });
    else if (status === 404 || (status === 200 && !UNPAID.includes(body.status))) write({ pledge: undefined });
  }

  return {
    /** @param {boolean} mayWait whether to wait for the numbers of a page that the reader does not see yet */
    async visit(mayWait) {
      await checkDonation();
      const counting = waitUntilSeen().then(countArticle);
      const counts = mayWait ? await counting : { articles: 0, views: 0 };
      return { ...counts, isQuiet: (read().quietUntil ?? 0) > Date.now() };
    },

    /** @type {Placement["remember"]} */
    remember(name, detail, campaign, pledge) {
      let quietUntil = (quietBefore = read().quietUntil ?? 0);
      const quietDays = wholeNumber(host, "quiet-days", 1, 365) ?? campaign.quiet_days ?? QUIET_DAYS;
      if (name === "dismissed") quietUntil = Math.max(quietUntil, Date.now() + quietDays * DAY_MS);
      if (name === "reminded") quietUntil = Math.max(quietUntil, dueAt(detail));
      write({ quietUntil, ...(pledge && { pledge }) });
    },

    undo: () => write({ quietUntil: quietBefore }),
    forgetViews: () => write({ views: 0 }),

    forget() {
      seen.clear();
      try {
        localStorage.removeItem(key());
      } catch {
        // There is nothing to forget.
      }
    },
  };
}
