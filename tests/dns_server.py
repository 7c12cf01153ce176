"""A name server on the loopback interface, with the TXT records that a test gives it."""

import socket
import threading
from collections.abc import Mapping, Sequence

import dns.flags
import dns.message
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset


class DnsTestServer:
    """Runs in a `with` block and answers over UDP.

    `texts` has the TXT records of each name: a record is its text, or the parts that it is stored in. `aliases`
    has the target of each CNAME. Any other name does not exist, unless another is below it. `rcode` is the answer
    to every question instead, and a server that `is_silent` answers none.
    """

    def __init__(
        self,
        texts: Mapping[str, Sequence[str | tuple[str, ...]]] | None = None,
        aliases: Mapping[str, str] | None = None,
        *,
        rcode: str | None = None,
        is_silent: bool = False,
    ) -> None:
        self.texts = dict(texts or {})
        self.aliases = dict(aliases or {})
        self.questions: list[str] = []
        self._rcode = rcode
        self._is_silent = is_silent
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> "DnsTestServer":
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        # An empty datagram ends the thread.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as waker:
            waker.sendto(b"", self._socket.getsockname())
        self._thread.join()
        self._socket.close()

    def _serve(self) -> None:
        while True:
            wire, client = self._socket.recvfrom(65_535)
            if not wire:
                return
            question = dns.message.from_wire(wire)
            self.questions.append(question.question[0].name.to_text(omit_final_dot=True))
            if not self._is_silent:
                self._socket.sendto(self._answer(question).to_wire(), client)

    def _answer(self, question: dns.message.Message) -> dns.message.Message:
        answer = dns.message.make_response(question)
        answer.flags |= dns.flags.RA | dns.flags.AA
        if self._rcode is not None:
            answer.set_rcode(dns.rcode.from_text(self._rcode))
            return answer
        name = question.question[0].name.to_text(omit_final_dot=True).lower()
        while name in self.aliases:
            target = self.aliases[name]
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "CNAME", f"{target}."))
            name = target
        records = self.texts.get(name)
        if records:
            answer.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", "TXT", *map(_quote, records)))
        elif records is None and not any(known.endswith(f".{name}") for known in (*self.texts, *self.aliases)):
            answer.set_rcode(dns.rcode.NXDOMAIN)
        return answer


def _quote(record: str | tuple[str, ...]) -> str:
    parts = (record,) if isinstance(record, str) else record
    return " ".join('"' + part.replace("\\", "\\\\").replace('"', '\\"') + '"' for part in parts)
