/** Loads the parts of the box that a reader may never need. They come from the host of this script. */

const TIMEOUT_MS = 15_000;
/** @type {Record<string, Promise<any> | undefined>} */
const parts = {};
let attempts = 0;

/**
 * Loads a part, once. The URL holds a hash of the part, so that browsers cache it for a year, but the service responds
 * to any hash: the script of an older build, from a cache, still finds its parts.
 * @param {keyof typeof PART_HASHES} name
 * @returns {Promise<any>} what the part does
 */
export function loadPart(name) {
  // A browser may remember that a URL failed, so each attempt has its own.
  const url = new URL(`/widget/${name}-1.js?v=${PART_HASHES[name]}${attempts ? `&${attempts}` : ""}`, import.meta.url);
  return (parts[name] ??= Promise.race([
    import(url.href),
    new Promise((_, reject) => setTimeout(reject, TIMEOUT_MS)),
  ]).then(
    (part) => part.default,
    (error) => {
      attempts++;
      parts[name] = undefined;
      throw error;
    },
  ));
}
