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
    found = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, DomainError)]
    return [kind for kind in found if kind is not DomainError]


@pytest.mark.parametrize("kind", domain_errors(), ids=lambda kind: kind.__name__)
def test_each_domain_error_has_code_docstring_and_status(kind: type[DomainError]) -> None:
    sentence = kind.__dict__.get("__doc__") or ""
    assert sentence.endswith(".")
    assert "\n\n" not in sentence
    assert kind.code != DomainError.code
    assert kind.code == kind.code.lower()
    assert kind.code.replace("_", "").isalpha()
    assert 400 <= STATUS_BY_ERROR[kind] < 600


def test_domain_error_codes_are_unique_and_all_have_a_status() -> None:
    kinds = domain_errors()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert set(STATUS_BY_ERROR) == set(kinds)
    assert not [kind for kind in DomainError.__subclasses__() if kind not in kinds]


def test_web_process_does_not_import_scheduler() -> None:
    code = "import sys, service.app; sys.exit('apscheduler' in sys.modules or 'jobs' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
