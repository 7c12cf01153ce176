/** Chooses the reader's language and its text direction. */

/** @param {string} tag @returns {string} a canonical BCP 47 tag, or an empty string if the tag is invalid */
export function normalizeTag(tag) {
  try {
    return Intl.getCanonicalLocales(tag.replace(/_/g, "-"))[0] ?? "";
  } catch {
    return "";
  }
}

/** Returns the `lang` of the element or its nearest ancestor. @param {Element} element @returns {string} */
export function pageLanguage(element) {
  const ancestor = element.closest("[lang]");
  if (ancestor) return normalizeTag(ancestor.getAttribute("lang") ?? "");
  const root = element.getRootNode();
  // closest() stops at a shadow root, so the search continues from its host.
  return root instanceof ShadowRoot ? pageLanguage(root.host) : "";
}

/**
 * Chooses the locale of amounts and dates: the language of the texts, in the page's regional variety if they match.
 * @param {string} requested
 * @param {string} available
 */
export function chooseLanguage(requested, available) {
  const [language] = requested.split("-");
  return language && language === available.split("-")[0] ? requested : normalizeTag(available) || "en";
}

/** @param {string} lang */
export const textDirection = (lang) => (/^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)\b/.test(lang) ? "rtl" : "ltr");
