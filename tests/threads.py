"""The stop event that jobs take, for tests that never stop them."""

import threading
from typing import Final

RUNNING: Final = threading.Event()
"""Never set. Shared, so no test may set it."""
