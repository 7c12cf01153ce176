/** The HTTP client of the service. It sends no cookies and no referrer, and times out after 15 seconds. */

const TIMEOUT_MS = 15_000;

/**
 * @param {string | null} header the value of Retry-After: seconds or an HTTP date
 * @param {number} now milliseconds since the epoch
 * @returns {number} whole seconds, 0 if the header is missing, invalid or in the past
 */
export function parseRetryAfter(header, now = Date.now()) {
  const seconds = Number(header) || (Date.parse(header ?? "") - now) / 1000;
  return Math.max(0, Math.ceil(seconds)) || 0;
}

/**
 * @param {string} url
 * @param {string} [body] JSON; a request with a body is a POST, without one a GET
 * @param {string} [key] the Idempotency-Key
 * @param {AbortController} [controller] aborts the request
 * @param {RequestCache} [cache] "reload" asks the service and not a cache
 * @returns {Promise<ApiResponse>}
 */
export async function request(url, body, key, controller = new AbortController(), cache) {
  const timer = setTimeout(() => controller.abort(), TIMEOUT_MS);
  try {
    const response = await fetch(url, {
      method: body ? "POST" : "GET",
      body,
      headers: body ? { "Content-Type": "application/json", ...(key && { "Idempotency-Key": key }) } : {},
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: controller.signal,
      cache,
    });
    return {
      status: response.status,
      retryAfterSeconds: parseRetryAfter(response.headers.get("Retry-After")),
      // A proxy in front of the service may respond with HTML while the service is down.
      body: (await response.json().catch((error) => (response.ok ? Promise.reject(error) : {}))) ?? {},
    };
  } catch {
    return { status: 0, retryAfterSeconds: 0, body: {} };
  } finally {
    clearTimeout(timer);
  }
}
