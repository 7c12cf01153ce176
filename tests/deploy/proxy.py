"""Real proxies in front of Mainstay: the configurations of deploy/, on ports and with a certificate of a test."""

import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.gateways.certificates import make_server_context
from tests.processes import ROOT, free_port, running, wait_until

HOST = "support.paper.example"
NGINX_FRAME = """
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/start.log warn;
events {{}}
http {{
    # What Debian's own configuration logs unless a site says otherwise.
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    {site}
}}
"""


@dataclass(frozen=True)
class Proxy:
    """A running proxy, and the folder with all that it logs."""

    base: str
    authority: Path
    folder: Path

    def request(self, method: str, path: str, **sent) -> requests.Response:
        """Send a request as a browser does that found the proxy under its public name."""
        headers = {"Host": HOST} | sent.pop("headers", {})
        return requests.request(
            method,
            self.base + path,
            headers=headers,
            verify=self.authority,
            allow_redirects=False,
            timeout=60,
            **sent,
        )

    def logs(self) -> str:
        """Return all that the proxy wrote."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


def program(name: str) -> str | None:
    """Return the path of a proxy's program; Debian keeps servers where only root's PATH leads."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")


def nginx_configuration(folder: Path, chain: Path, port: int, upstream: int) -> str:
    """Return deploy/nginx.conf within the frame that Debian gives it."""
    site = (ROOT / "deploy/nginx.conf").read_text()
    for pattern, value in (
        (r"listen (\[::\]:)?80;", f"listen 127.0.0.1:{free_port()};"),
        (r"listen \[::\]:443 ssl http2;", ""),
        (r"listen 443 ", f"listen 127.0.0.1:{port} "),
        (r"/etc/letsencrypt/live/[^;]+", str(chain)),
        (r"/var/log/nginx/", f"{folder}/"),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{upstream}"),
    ):
        site, count = re.subn(pattern, value, site)
        assert count, pattern
    # Both lines of the first server now say the same.
    site = re.sub(r"(listen 127\.0\.0\.1:\d+;)\s+\1", r"\1", _same_port(site))
    return NGINX_FRAME.format(folder=folder, site=site)


def _same_port(site: str) -> str:
    first = re.search(r"listen 127\.0\.0\.1:\d+;", site)
    assert first
    return re.sub(r"listen 127\.0\.0\.1:\d+;", first[0], site)


def caddy_configuration(folder: Path, chain: Path, port: int, upstream: int) -> str:
    """Return deploy/Caddyfile with a certificate that Caddy need not ask for."""
    text = (ROOT / "deploy/Caddyfile").read_text()
    for pattern, value in (
        (r"(?m)^\{$", f"{{\n\tadmin off\n\tauto_https off\n\tstorage file_system {folder}/store"),
        (rf"(?m)^{HOST} \{{$", f"https://{HOST}:{port} {{\n\tbind 127.0.0.1\n\ttls {chain} {chain}"),
        (r"127\.0\.0\.1:8000", f"127.0.0.1:{upstream}"),
    ):
        text, count = re.subn(pattern, value, text)
        assert count == 1, pattern
    return text


@contextmanager
def _serve(folder: Path, upstream: int, write: Callable[..., str], command: tuple[str, ...]) -> Iterator[Proxy]:
    _context, authority = make_server_context(folder)
    port = free_port()
    configuration = folder / "configuration"
    configuration.write_text(write(folder, folder / "server.pem", port, upstream))
    arguments = tuple(part.format(folder=folder, configuration=configuration) for part in command)
    proxy = Proxy(f"https://127.0.0.1:{port}", authority, folder)
    log = folder / "output.log"
    with running(*arguments, log=log, env={"HOME": str(folder), "PATH": "/usr/sbin:/usr/bin:/bin"}) as process:
        wait_until(lambda: process.poll() is not None or _answers(proxy), what=f"the proxy, see {log}")
        assert process.poll() is None, proxy.logs()
        yield proxy


def _answers(proxy: Proxy) -> bool:
    try:
        proxy.request("GET", "/healthz")
    except requests.ConnectionError:
        return False
    return True


@contextmanager
def nginx(folder: Path, upstream: int) -> Iterator[Proxy]:
    """Run nginx with deploy/nginx.conf until the block ends."""
    found = program("nginx")
    assert found, "install Debian's package nginx-light"
    with _serve(
        folder, upstream, nginx_configuration, (found, "-p", "{folder}", "-c", "{configuration}")
    ) as proxy:
        yield proxy


@contextmanager
def caddy(folder: Path, upstream: int) -> Iterator[Proxy]:
    """Run Caddy with deploy/Caddyfile until the block ends."""
    found = program("caddy")
    assert found
    command = (found, "run", "--config", "{configuration}", "--adapter", "caddyfile")
    with _serve(folder, upstream, caddy_configuration, command) as proxy:
        yield proxy
