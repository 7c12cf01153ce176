"""A real PgBouncer in transaction mode, in front of the tests' PostgreSQL."""

import os
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path

from sqlalchemy.engine import make_url

from tests.postgres import unprivileged_account
from tests.processes import free_port, wait_until

# Few, so that each connection to PostgreSQL serves many clients.
SERVER_CONNECTIONS = 6
CONFIGURATION = """\
[databases]
* = {target}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {connections}
max_client_conn = 200
server_login_retry = 0
log_connections = 0
log_disconnections = 0
"""
# From this version on it gives each client's prepared statements names of its own, unless told not to.
TRACKS_STATEMENTS_FROM = (1, 21)


def find_pgbouncer() -> str:
    """Return the program; Debian installs it where only root's PATH leads."""
    found = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("there is no PgBouncer here; install it (Debian: sudo apt-get install pgbouncer)")
    return found


def find_version() -> str:
    """Return the program's version, such as "1.18.0"."""
    printed = subprocess.run([find_pgbouncer(), "--version"], capture_output=True, text=True, check=True).stdout
    return printed.split()[1]


def _version() -> tuple[int, ...]:
    return tuple(int(number) for number in find_version().split(".")[:2])


class PgBouncer:
    """Runs in a `with` block in front of the database of `database_url`; `url` leads to it through PgBouncer.

    Without `tracks_statements`, clients share the names of prepared statements, as they do with an old PgBouncer.
    """

    def __init__(
        self, database_url: str, *, server_connections: int = SERVER_CONNECTIONS, tracks_statements: bool = True
    ) -> None:
        self.port = free_port()
        target = make_url(database_url)
        self.url = f"postgresql+psycopg://any@127.0.0.1:{self.port}/{target.database}"
        self._folder = Path(tempfile.mkdtemp(prefix="mainstay-pgb-", dir="/tmp"))
        # PgBouncer refuses root, as PostgreSQL does.
        self._account = unprivileged_account()
        if self._account:
            os.chown(self._folder, self._account["user"], self._account["group"])
        given = {
            "host": target.query.get("host") or target.host,
            "port": target.query.get("port") or target.port or 5432,
            "user": target.username,
            "password": target.password,
        }
        words = " ".join(f"{name}='{value}'" for name, value in given.items() if value is not None)
        configuration = CONFIGURATION.format(target=words, port=self.port, connections=server_connections)
        if not tracks_statements and _version() >= TRACKS_STATEMENTS_FROM:
            configuration += "max_prepared_statements = 0\n"
        (self._folder / "pgbouncer.ini").write_text(configuration)

    def __enter__(self) -> "PgBouncer":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def log(self) -> str:
        """The log so far."""
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Start the process, or start it again after `kill`."""
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [find_pgbouncer(), self._folder / "pgbouncer.ini"],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                **self._account,
            )
        wait_until(self._is_listening, what=f"PgBouncer, see {self._folder / 'log'}")

    def kill(self) -> None:
        """Kill the process with SIGKILL; every connection through it breaks."""
        self._process.kill()
        self._process.wait(timeout=60)

    def _is_listening(self) -> bool:
        assert self._process.poll() is None, f"PgBouncer ended by itself: {self.log}"
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
