"""The time, and the way into the database."""

import datetime
from collections.abc import Callable
from contextlib import AbstractContextManager

from sqlalchemy.orm import Session

Clock = Callable[[], datetime.datetime]
"""Returns the present instant in UTC."""

TransactionFactory = Callable[[], AbstractContextManager[Session]]
"""Opens one transaction: it commits when the block ends and rolls back when it raises."""
