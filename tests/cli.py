"""Runs the `mainstay` command inside a test, and checks its errors."""

from click.testing import CliRunner, Result

from service.cli import cli

KEYS = "a-key-that-only-the-tests-know-0123456789"


def run_cli(*arguments: str, **environment: str) -> Result:
    """Run a command in this process; settings that are not given are empty."""
    settings = {
        name: environment.get(name, "")
        for name in ("MAIL_URL", "PUBLIC_URL", "REDIS_URL", "GATEWAY", "PORT", "MAINSTAY_ENV", "DYNO")
    }
    return CliRunner().invoke(cli, list(arguments), env=settings | {"SECRET_KEYS": KEYS} | environment)


def assert_cli_error(result: Result, *expected: str) -> None:
    """Check a CLI error: exit code 1 or 2, nothing on standard output, and no traceback."""
    assert result.exit_code in (1, 2)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.stdout == ""
    assert "Traceback" not in result.stderr
    for text in expected:
        assert text in result.stderr
