/** Finds the language the reader reads, and the direction it runs. */

/** @param {string} tag @returns {string} the tag as Intl takes it, or nothing if it is no tag at all */
export function tidyTag(tag) {
  try {
    return Intl.getCanonicalLocales(tag.replace(/_/g, "-"))[0] ?? "";
  } catch {
    return "";
  }
}

/** The element's own language, else that of the nearest ancestor. @param {Element} element @returns {string} */
export function languageAround(element) {
  const holder = element.closest("[lang]");
  if (holder) return tidyTag(holder.getAttribute("lang") ?? "");
  const root = element.getRootNode();
  // An element inside another component's shadow root reads on limitError it.
  return root instanceof ShadowRoot ? languageAround(root.host) : "";
}

/**
 * Amounts and dates follow the language of the texts, in the reader's own variety of it where we know one.
 * @param {string} asked
 * @param {string} offered
 */
export function languageOf(asked, offered) {
  const [wanted] = asked.split("-");
  return wanted && wanted === offered.split("-")[0] ? asked : tidyTag(offered) || "en";
}

/** @param {string} lang */
export const directionOf = (lang) => (/^(ar|ckb|dv|fa|he|ps|sd|ug|ur|yi)\b/.test(lang) ? "rtl" : "ltr");
