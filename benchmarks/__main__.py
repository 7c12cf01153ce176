"""`make bench`: start everything, measure, print the figures. They are reported and never asserted."""

import argparse
import json
import os
import platform
import sys

from sqlalchemy import text

from benchmarks import export
from benchmarks.rounds import Contest, Figures, Pace, compete, table
from benchmarks.stage import Stage, set_up

FULL = Pace(rounds=9, seconds=4, warm_up=1)
QUICK = Pace(rounds=2, seconds=1, warm_up=0.5)
ROWS, QUICK_ROWS, EXPORT_ROUNDS = 200_000, 20_000, 3

# What the widget sends from a newsroom's article.
WISH = {
    "campaign": "default",
    "email": "reader-{round}-000000000000@paper.example",
    "months": 1,
    "timezone": "Europe/Amsterdam",
    "frequency": "monthly",
    "amount": 500,
    "page_url": "https://paper.example/2026/11/the-harbour",
    "lang": "en",
    "consent_version": "5d41402a",
}


def _request(method: str, path: str, body: str = "") -> bytes:
    # The round's mark is as long as its number, so that the length is right before either is known.
    length = len(body) - body.count("{round}") * (len("{round}") - 4)
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: 127.0.0.1",
        "Origin: https://paper.example",
        "Referer: https://paper.example/",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
        "Accept: */*",
    ]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*head, "", body]).encode()


REMINDER = Contest(
    "POST /v1/reminders",
    _request("POST", "/v1/reminders", json.dumps(WISH)),
    _request("POST", "/reminders", json.dumps(WISH)),
    201,
)
CAMPAIGN = Contest(
    "GET /v1/campaigns/default", _request("GET", "/v1/campaigns/default"), _request("GET", "/campaign"), 200
)


def main() -> int:
    """Run what the command line asks for; the exit status is 1 if any answer was wrong or any row is missing."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds, to see that it runs")
    parser.add_argument("--only", choices=("reminders", "campaign", "export"), help="one of the three")
    options = parser.parse_args()
    pace, rows = (QUICK, QUICK_ROWS) if options.quick else (FULL, ROWS)
    faults: list[str] = []
    with set_up() as stage:
        print(_machine(stage), "\n")
        contests = {"reminders": REMINDER, "campaign": CAMPAIGN}
        figures = [
            compete(contest, pace, ours=stage.ours, bare=stage.bare)
            for name, contest in contests.items()
            if options.only in (None, name)
        ]
        if figures:
            print(table(figures), flush=True)
        for each in figures:
            faults += each.errors
            if each.name == REMINDER.name:
                faults += _missing(stage, each)
        if faults:
            # The log goes with the stage, and it says why.
            faults += [line for line in stage.log.read_text().splitlines() if '"level": "error"' in line][:5]
        if options.only in (None, "export"):
            speeds = export.race(stage, rows=rows, rounds=1 if options.quick else EXPORT_ROUNDS)
            print(f"\n{export.table(speeds, rows)}")
    print(*[f"\nWRONG: {fault}" for fault in faults], sep="", file=sys.stderr)
    return 1 if faults else 0


def _machine(stage: Stage) -> str:
    with stage.engine.connect() as connection:
        settings = {name: connection.scalar(text(f"SHOW {name}")) for name in ("server_version", "fsync")}
    return (
        f"{os.cpu_count()} cores, Python {platform.python_version()}, PostgreSQL {settings['server_version']} "
        f"(fsync {settings['fsync']}), gunicorn gthread"
    )


def _missing(stage: Stage, figures: Figures) -> list[str]:
    """Say where the database holds anything but one row for each good answer."""
    ours, bare = (sum(tally.stored for tally in tallies) for tallies in (figures.ours, figures.bare))
    faults = []
    with stage.engine.connect() as connection:
        for name, expected in (
            ("supporters", ours),
            ("reminders", ours),
            ("reminder_moves", ours),
            ("bare_reminders", bare),
        ):
            found = connection.scalar(text(f"SELECT count(*) FROM {name}"))
            if found != expected:
                faults.append(f"{name} holds {found} rows after {expected} good answers")
    return faults


if __name__ == "__main__":
    sys.exit(main())
