"""How several processes share the tests: most go one by one to whoever is free, and some stay together.

To open a newsroom for the browser takes as long as several tests in it, so the files in `tests/browser` share two.
They come first, because they are what takes longest. (pytest-xdist has marks for groups, but its release 3.8 heeds
none of them under pytest 9.2, which names a test in a way that it does not know.)
"""

from pathlib import Path, PurePosixPath

from xdist.scheduler import LoadScopeScheduling

BROWSER_GROUPS = 2
BROWSER_FILES = sorted(file.name for file in (Path(__file__).parent / "browser").glob("test_*.py"))


class BrowserGroupScheduler(LoadScopeScheduling):
    """Hands out the largest group first, and then the tests that stand alone, in their order."""

    def _split_scope(self, nodeid: str) -> str:
        """Return the name of the group that a test belongs to."""
        file = PurePosixPath(nodeid.partition("::")[0])
        if file.parent.name != "browser":
            return nodeid
        return f"newsroom {BROWSER_FILES.index(file.name) % BROWSER_GROUPS}"
