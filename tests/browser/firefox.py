"""Find Firefox, and let Playwright drive it.

Playwright has a Firefox of its own, which is patched. A stock one speaks WebDriver BiDi, which Playwright knows,
too, but Firefox ESR lacks a command that Playwright sends to every context. So Playwright starts this file, which
starts Firefox, relays the protocol, and answers that command itself. Tests cannot set the colour scheme there.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path

from aiohttp import ClientSession, web

NAMES = ("firefox-esr", "firefox")
MISSING = (
    "The tests of the support box need Firefox and there is none: install it "
    "(Debian: sudo apt-get install firefox-esr) and run them again."
)
# The name under which Playwright drives a Firefox by WebDriver BiDi.
CHANNEL = "moz-firefox"
# Firefox must not load anything by itself, because tests assert on the list of requests. Its commands for the
# pointer and the keyboard do not reach a frame of another site that is in a process of its own.
PREFERENCES = {
    "browser.chrome.site_icons": False,
    "browser.shell.checkDefaultBrowser": False,
    "fission.webContentIsolationStrategy": 0,
    "network.captive-portal-service.enabled": False,
}
UNKNOWN_COMMANDS = {"emulation.setMediaFeaturesOverride"}
ADDRESS = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class FirefoxIsMissing(Exception):
    """There is no browser. The run must fail and not skip its tests."""


def find_firefox() -> str:
    """Return the path of Firefox.

    Raises:
        FirefoxIsMissing: there is none.
    """
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        raise FirefoxIsMissing(MISSING)
    return path


def write_starter(folder: Path) -> Path:
    """Write a program that starts Firefox behind the relay; return its path."""
    starter = folder / "firefox"
    starter.write_text(
        f'#!/bin/sh\nPYTHONPATH="{Path(__file__).parents[2]}" exec "{sys.executable}" -m {__name__} "$@"\n'
    )
    starter.chmod(0o755)
    return starter


async def relay(front: web.WebSocketResponse, address: str) -> None:
    """Relay the messages of a session to Firefox and back, until one of them closes it."""
    async with ClientSession() as client, client.ws_connect(f"{address}/session", max_msg_size=0) as back:

        async def relay_answers() -> None:
            async for message in back:
                await front.send_str(message.data)
            await front.close()

        answers = asyncio.create_task(relay_answers())
        async for message in front:
            command = json.loads(message.data)
            if command["method"] in UNKNOWN_COMMANDS:
                await front.send_json({"type": "success", "id": command["id"], "result": {}})
            else:
                await back.send_str(message.data)
        await back.close()
        await answers


async def run(arguments: list[str]) -> None:
    """Start Firefox, and say where the relay listens in the words in which Firefox says it."""
    firefox = await asyncio.create_subprocess_exec(find_firefox(), *arguments, stderr=asyncio.subprocess.PIPE)
    assert firefox.stderr is not None
    async for line in firefox.stderr:
        text = line.decode(errors="replace")
        if match := ADDRESS.search(text):
            text = f"WebDriver BiDi listening on ws://127.0.0.1:{await listen(match[1])}\n"
        sys.stderr.write(text)
        sys.stderr.flush()
    await firefox.wait()


async def listen(address: str) -> int:
    """Start the relay to Firefox; return its port."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        front = web.WebSocketResponse(max_msg_size=0)
        await front.prepare(request)
        await relay(front, address)
        return front

    app = web.Application()
    app.router.add_get("/session", handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port: int = runner.addresses[0][1]
    return port


if __name__ == "__main__":
    os.environ.setdefault("MOZ_HEADLESS", "1")
    asyncio.run(run(sys.argv[1:]))
