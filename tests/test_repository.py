"""Checks of the repository: package locations, domain errors and process boundaries."""

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import jobs
import schemas
import service
from service.api.problems import STATUS_BY_ERROR
from service.domain import errors
from service.domain.errors import DomainError
from tests.processes import ROOT


@pytest.mark.parametrize("package", [service, schemas, jobs], ids=lambda package: package.__name__)
def test_imported_packages_belong_to_this_checkout(package) -> None:
    assert Path(package.__file__).resolve() == ROOT / package.__name__ / "__init__.py"


def domain_errors() -> list[type[DomainError]]:
    found = [error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, DomainError)]
    return [error for error in found if error is not DomainError]


@pytest.mark.parametrize("error", domain_errors(), ids=lambda error: error.__name__)
def test_each_domain_error_has_code_docstring_and_status(error: type[DomainError]) -> None:
    sentence = error.__dict__.get("__doc__") or ""
    assert sentence.endswith(".")
    assert "\n\n" not in sentence
    assert error.code != DomainError.code
    assert error.code == error.code.lower()
    assert error.code.replace("_", "").isalpha()
    assert 400 <= STATUS_BY_ERROR[error] < 600


def test_domain_error_codes_are_unique_and_all_have_a_status() -> None:
    kinds = domain_errors()
    assert len({error.code for error in kinds}) == len(kinds)
    assert set(STATUS_BY_ERROR) == set(kinds)
    assert not [error for error in DomainError.__subclasses__() if error not in kinds]


def test_web_process_does_not_import_scheduler() -> None:
    code = "import sys, service.app; sys.exit('apscheduler' in sys.modules or 'jobs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
