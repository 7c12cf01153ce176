"""When a server that does not let us in counts as one that refuses us, which only an operator can mend."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from service.domain.ports import ServerMisconfigured, ServerUnavailable
from service.gateways.email.smtp_handshake import RefusedAtConnect

# A server that is restarting or busy refuses once or twice. The circuit breaker pauses between the tries.
MAX_TRIES = 3


class ConnectRefusals:
    """Counts the refusals in a row of all connections of a process. A connection that opens ends the row."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._in_a_row = 0

    @contextmanager
    def counted(self) -> Iterator[None]:
        """Count what the block, which opens a connection, ends with; connections tried at once count once.

        Raises:
            ServerUnavailable: the server refused us.
            ServerMisconfigured: it did so `MAX_TRIES` times.
        """
        before = self._in_a_row
        try:
            yield
        except RefusedAtConnect as error:
            with self._lock:
                self._in_a_row = tries = max(self._in_a_row, before + 1)
            if tries < MAX_TRIES:
                raise ServerUnavailable(str(error)) from error
            raise ServerMisconfigured(f"the server refuses us ({error.detail})") from error
        self._in_a_row = 0
