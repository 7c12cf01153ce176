"""What can go wrong, in the newsroom's words. Only `service.api.problems` knows which HTTP status each becomes."""


class DomainError(Exception):
    """A rule refused. `code` is stable; `field` names the request field at fault, where one is."""

    code = "refused"

    def __init__(self, detail: str, *, field: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.field = field


class UnknownTimeZone(DomainError):
    """The name is not in the IANA time zone database."""

    code = "unknown_time_zone"


class UnreadableAmount(DomainError):
    """The text is not an amount, or could be read as two different ones."""

    code = "unreadable_amount"


class IllegalMove(DomainError):
    """The pledge or reminder cannot do this from where it stands."""

    code = "illegal_move"
