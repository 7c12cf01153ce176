"""Distribution of tests to processes: most tests are independent, and the browser tests form two groups.

Starting a live server for the browser takes as long as several tests, so the files in `tests/browser` share two.
These groups come first, because they take the longest. (pytest-xdist 3.8 ignores its own group marks under pytest
9.2, which changed the format of test ids.)
"""

from pathlib import Path, PurePosixPath

from xdist.scheduler import LoadScopeScheduling

BROWSER_GROUPS = 2
BROWSER_FILES = sorted(file.name for file in (Path(__file__).parent / "browser").glob("test_*.py"))


class BrowserGroupScheduler(LoadScopeScheduling):
    """Schedules the largest group first, and then the independent tests in their order."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the group that a test belongs to."""
        file = PurePosixPath(nodeid.partition("::")[0])
        if file.parent.name != "browser":
            return nodeid
        return f"newsroom {BROWSER_FILES.index(file.name) % BROWSER_GROUPS}"
