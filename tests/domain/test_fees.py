"""Covering the fees: the newsroom keeps the whole amount, and the reader adds no more than that takes."""

import ast
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.domain import money
from service.domain.money import FeeRate


@pytest.mark.parametrize(
    ("rate", "amount", "added"),
    [
        (FeeRate(290, 30), 200, 37),
        (FeeRate(290, 30), 1000, 61),
        (FeeRate(0, 30), 1000, 30),
        (FeeRate(5000, 0), 1000, 1000),
        (FeeRate(9999, 0), 1, 9999),
        (FeeRate(0, 0), 1000, 0),
    ],
)
def test_fees_to_cover(rate: FeeRate, amount: int, added: int) -> None:
    assert rate.fees_to_cover(amount) == added


@settings(max_examples=1000, deadline=None)
@given(
    amount=st.integers(1, 10**12),
    basis_points=st.integers(0, 9999),
    fixed=st.integers(0, 10**6),
    step=st.sampled_from([1, 10, 100]),
)
def test_total_is_the_smallest_that_leaves_the_amount(
    amount: int, basis_points: int, fixed: int, step: int
) -> None:
    total = amount + FeeRate(basis_points, fixed).fees_to_cover(amount, step_minor=step)

    def net(charged: int) -> Fraction:
        return charged - Fraction(charged * basis_points, 10_000) - fixed

    assert total % step == 0
    assert net(total) >= amount
    assert net(total - step) < amount


@pytest.mark.parametrize("step", [1, 10])
def test_every_amount_up_to_100_000_is_left_whole(step: int) -> None:
    rate = FeeRate(290, 30)
    for amount in range(step, 100_001, step):
        total = amount + rate.fees_to_cover(amount, step_minor=step)
        # In integers: ten thousand times what is left after the fees.
        net_times_10_000 = total * (10_000 - 290) - 30 * 10_000
        assert 0 <= net_times_10_000 - amount * 10_000 < step * 10_000


@pytest.mark.parametrize(("basis_points", "fixed"), [(10_000, 0), (12_000, 0), (-1, 0), (0, -1)])
def test_invalid_fee_rate_is_refused(basis_points: int, fixed: int) -> None:
    with pytest.raises(ValueError, match="basis points"):
        FeeRate(basis_points, fixed)


def test_fees_use_no_float() -> None:
    for node in ast.walk(ast.parse(Path(money.__file__).read_text("utf-8"))):
        assert not (isinstance(node, ast.Constant) and isinstance(node.value, float | complex)), ast.dump(node)
        assert not (isinstance(node, ast.Name) and node.id in {"float", "round"}), ast.dump(node)
        assert not (isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)), ast.dump(node)
