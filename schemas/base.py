"""The base of all request schemas: an unknown field is an error that suggests the closest known name."""

from difflib import get_close_matches
from typing import Any

from marshmallow import RAISE, Schema, ValidationError


class StrictSchema(Schema):
    """A request, or a part of one, in which unknown fields are errors."""

    class Meta:
        unknown = RAISE

    def handle_error(self, error: ValidationError, data: Any, *, many: bool, **kwargs: Any) -> None:
        """Suggest a known name for each unknown field."""
        if not isinstance(error.messages, dict):
            return
        known = [field.data_key or name for name, field in self.load_fields.items()]
        for name, messages in error.messages.items():
            if messages == [self.error_messages["unknown"]]:
                error.messages[name] = [unknown_field_message(str(name), known)]


def unknown_field_message(name: str, known: list[str]) -> str:
    """Return the error message for an unknown name, with the closest known name if there is one."""
    nearest = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"Unknown field; did you mean {nearest[0]!r}?" if nearest else "Unknown field."
