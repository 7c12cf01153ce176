/** The page that the reader is on. */

/** The longest address that the service takes. */
const MAX_LENGTH = 2048;

/**
 * Returns the address of the page without its query and fragment, which may hold personal data; undefined if it has no
 * address on the web or a very long one, which must not stop a pledge.
 */
export function pageUrl({ href, origin, pathname } = location) {
  const url = origin + pathname;
  return /^http/.test(href) && url.length <= MAX_LENGTH ? url : undefined;
}
