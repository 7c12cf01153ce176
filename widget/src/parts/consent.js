/** The version of the consent text that a reader saw. */

/**
 * Identifies the exact consent text, so that the recorded version changes with the text or its language (FNV-1a).
 * @param {string} lang
 * @param {string} text
 */
export function consentVersion(lang, text) {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return `${lang}-${hash.toString(16).padStart(8, "0")}`;
}
