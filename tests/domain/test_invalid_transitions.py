"""A transition that is not in the table is refused with a message that names the status."""

from enum import StrEnum

import pytest

from service.domain.errors import InvalidTransition
from tests.domain.state_machines import MACHINES, StateMachine


@pytest.mark.parametrize(
    ("machine", "status", "event"),
    [
        pytest.param(machine, status, event, id=f"{machine.noun}-{status}-{event}")
        for machine in MACHINES
        for status, event in machine.invalid_transitions()
    ],
)
def test_invalid_transition_names_the_status(machine: StateMachine, status: StrEnum, event: StrEnum) -> None:
    expected = f"This {machine.noun} is {status.replace('_', ' ')}, so it cannot "
    with pytest.raises(InvalidTransition, match=f"^{expected}") as error:
        machine.next_status(status, event)
    assert error.value.detail.startswith(expected)
