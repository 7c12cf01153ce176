"""Fetches small documents by HTTPS from hosts that the caller has checked."""

import http.client
import socket
import ssl
import threading
import time
from concurrent.futures import Future

DEADLINE_SECONDS = 5.0
MAX_RESPONSE_BYTES = 64 * 1024
READ_BYTES = 8 * 1024


class FetchError(Exception):
    """A document could not be fetched."""


class DocumentRefused(FetchError):
    """The host answered that it has no such document, and would answer so again."""


class HttpsFetcher:
    """Fetches one document at a time, within one deadline for all of it, and follows no redirect.

    A second request meanwhile fails at once, so that slow documents occupy one thread. `address` and `context`
    lead a test to its own server; the certificate is always checked for the host.
    """

    def __init__(
        self,
        *,
        address: tuple[str, int] | None = None,
        context: ssl.SSLContext | None = None,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._address = address
        self._context = context
        self._deadline_seconds = deadline_seconds
        self._slot = threading.Lock()

    def get(self, host: str, target: str) -> bytes:
        """Return the body of the response to `GET https://{host}{target}`, which must have the status 200.

        Raises:
            DocumentRefused: the status is 4xx, except 429.
            FetchError: there was no such response in time.
        """
        if not self._slot.acquire(blocking=False):
            raise FetchError("another document is being fetched")
        result: Future[bytes] = Future()
        # A thread of its own, because no socket has a time limit for looking up a name.
        threading.Thread(target=self._fetch, args=(host, target, result), daemon=True).start()
        try:
            return result.result(self._deadline_seconds)
        except TimeoutError:
            raise FetchError("no response in time") from None
        except (OSError, http.client.HTTPException) as error:
            raise FetchError(type(error).__name__) from error

    def _fetch(self, host: str, target: str, result: "Future[bytes]") -> None:
        try:
            result.set_result(self._get(host, target))
        except Exception as error:  # noqa: BLE001 - the caller's thread raises it
            result.set_exception(error)
        finally:
            self._slot.release()

    def _get(self, host: str, target: str) -> bytes:
        ends_at = time.monotonic() + self._deadline_seconds
        context = self._context or ssl.create_default_context()
        address = self._address or (host, http.client.HTTPS_PORT)
        with (
            socket.create_connection(address, self._deadline_seconds) as plain,
            context.wrap_socket(plain, server_hostname=host) as encrypted,
        ):
            connection = http.client.HTTPConnection(host)
            connection.sock = encrypted
            connection.request("GET", target, headers={"Connection": "close"})
            response = connection.getresponse()
            if response.status != http.HTTPStatus.OK:
                is_final = 400 <= response.status < 500 and response.status != http.HTTPStatus.TOO_MANY_REQUESTS
                raise (DocumentRefused if is_final else FetchError)(f"status {response.status}")
            body = b""
            while part := response.read1(READ_BYTES):
                body += part
                if len(body) > MAX_RESPONSE_BYTES:
                    raise FetchError("the response is too large")
                if time.monotonic() > ends_at:
                    raise FetchError("no response in time")
            return body
