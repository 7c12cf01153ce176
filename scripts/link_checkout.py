"""Puts this checkout on the path of .venv/ and writes the `mainstay` command into it.

This does the same as an editable install, without downloading a build backend that no lock file pins.
"""

import sys
import sysconfig
from pathlib import Path

checkout = Path(__file__).resolve().parent.parent
(Path(sysconfig.get_path("purelib")) / "mainstay.pth").write_text(f"{checkout}\n", encoding="utf-8")
command = Path(sysconfig.get_path("scripts")) / "mainstay"
command.write_text(f"#!{sys.executable}\nfrom service.cli import main\n\nmain()\n", encoding="utf-8")
command.chmod(0o755)
