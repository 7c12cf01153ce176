"""Find Firefox, and let Playwright drive it.

Playwright has a Firefox of its own, which is patched. A stock one speaks WebDriver BiDi, which Playwright knows,
too, but Firefox ESR lacks a command that Playwright sends to every context. So Playwright starts this file, which
starts Firefox, relays the protocol, and answers that command itself. Tests cannot set the colour scheme there.

Playwright cannot switch off the scripts of a stock Firefox either, and if the preference "javascript.enabled" is
false, its own scripts stop at their first promise. So the relay adds a policy against scripts to each page.
"""

import asyncio
import json
import os
import re
import shutil
import sys
from pathlib import Path
from typing import Any

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
WITHOUT_SCRIPTS = "--without-scripts"
# Everything but allow-scripts that the pages need.
SCRIPTLESS_POLICY = "sandbox allow-downloads allow-forms allow-modals allow-popups allow-same-origin"
# The greatest id of a command, which Playwright does not reach.
RELAY_ID = 2**53 - 1
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


def write_starter(folder: Path, *options: str) -> Path:
    """Write a program that starts Firefox behind the relay; return its path."""
    starter = folder / "firefox"
    command = " ".join([f'"{sys.executable}" -m {__name__}', *options])
    starter.write_text(f'#!/bin/sh\nPYTHONPATH="{Path(__file__).parents[2]}" exec {command} "$@"\n')
    starter.chmod(0o755)
    return starter


def without_scripts(event: dict[str, Any]) -> dict[str, Any]:
    """Return the command that lets a paused response go on, a page's with the policy against scripts."""
    parameters = {"request": event["request"]["request"]}
    if event["navigation"]:
        policy = {"name": "Content-Security-Policy", "value": {"type": "string", "value": SCRIPTLESS_POLICY}}
        parameters["headers"] = [*event["response"]["headers"], policy]
    return {"id": RELAY_ID, "method": "network.continueResponse", "params": parameters}


async def relay(front: web.WebSocketResponse, address: str, *, has_scripts: bool) -> None:
    """Relay the messages of a session to Firefox and back, until one of them closes it."""
    async with ClientSession() as client, client.ws_connect(f"{address}/session", max_msg_size=0) as back:

        async def relay_answers() -> None:
            async for message in back:
                answer = json.loads(message.data)
                if answer.get("method") == "network.responseStarted" and answer["params"]["isBlocked"]:
                    await back.send_json(without_scripts(answer["params"]))
                if answer.get("id") != RELAY_ID:
                    await front.send_str(message.data)
            await front.close()

        answers = asyncio.create_task(relay_answers())
        async for message in front:
            command = json.loads(message.data)
            if command["method"] in UNKNOWN_COMMANDS:
                await front.send_json({"type": "success", "id": command["id"], "result": {}})
                continue
            if command["method"] == "network.addIntercept" and not has_scripts:
                phases = command["params"]["phases"]
                # Playwright adds this one at the start of each session.
                if phases == ["authRequired"]:
                    phases.append("responseStarted")
            await back.send_json(command)
        await back.close()
        await answers


async def run(arguments: list[str]) -> None:
    """Start Firefox, and say where the relay listens in the words in which Firefox says it."""
    has_scripts = WITHOUT_SCRIPTS not in arguments
    arguments = [argument for argument in arguments if argument != WITHOUT_SCRIPTS]
    firefox = await asyncio.create_subprocess_exec(find_firefox(), *arguments, stderr=asyncio.subprocess.PIPE)
    assert firefox.stderr is not None
    async for line in firefox.stderr:
        text = line.decode(errors="replace")
        if match := ADDRESS.search(text):
            port = await listen(match[1], has_scripts=has_scripts)
            text = f"WebDriver BiDi listening on ws://127.0.0.1:{port}\n"
        sys.stderr.write(text)
        sys.stderr.flush()
    await firefox.wait()


async def listen(address: str, *, has_scripts: bool) -> int:
    """Start the relay to Firefox; return its port."""

    async def handle(request: web.Request) -> web.WebSocketResponse:
        front = web.WebSocketResponse(max_msg_size=0)
        await front.prepare(request)
        await relay(front, address, has_scripts=has_scripts)
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
