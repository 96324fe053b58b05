"""The suite sums what each model takes, over all workers, and fails where one takes too much."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
LAWS = """
import time
import pytest

def spend(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        pass

def test_law():
    spend(0.4)

@pytest.mark.slow
def test_training():
    spend(0.8)
"""
CONTRACT = """
import pytest
from tests_of_a import spend

@pytest.fixture(scope="module", params=["a", "a-wide", "b"])
def row(request):
    return request.param

@pytest.fixture(scope="module")
def trained(row):
    spend(0.3)

def test_contract(trained):
    pass

@pytest.mark.parametrize("model", ["b"])
def test_documented(model):
    spend(0.1)
"""


@pytest.fixture
def suite(tmp_path):
    """A suite of two models with this plugin, and a function that runs it."""
    for name in ("conftest.py", "cost.py"):
        (tmp_path / "tests").mkdir(exist_ok=True)
        shutil.copy(TESTS / name, tmp_path / "tests")
    for path, text in (("tests/models/f/test_a.py", LAWS), ("tests/contract/test_all.py", CONTRACT)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    shutil.copy(tmp_path / "tests/models/f/test_a.py", tmp_path / "tests/tests_of_a.py")
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\npythonpath = tests\naddopts = --import-mode=importlib -p no:cacheprovider\nmarkers = slow: x\n"
    )

    def run(*arguments):
        command = [sys.executable, "-m", "pytest", "-q", "--dist", "worksteal", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
        line = next((line for line in done.stdout.splitlines() if line.startswith(("a ", "b "))), "")
        return done, {name: float(spent) for name, spent in (word.split() for word in line.split(", "))}

    return run


@pytest.mark.parametrize("workers", [pytest.param("0", marks=pytest.mark.slow), "2"])
def test_contract_and_laws_of_a_model_are_one_sum_without_what_is_slow(suite, workers):
    done, sums = suite("-n", workers, "--model-seconds", "60")
    assert done.returncode == 0 and "FAILED" not in done.stdout, done.stdout
    assert sums == {"a": pytest.approx(1.0, abs=0.35), "b": pytest.approx(0.4, abs=0.35)}
    assert "tests/models/f/test_a.py::test_law" in done.stdout.partition("ten longest")[2]


@pytest.mark.parametrize("workers", ["0", pytest.param("2", marks=pytest.mark.slow)])
def test_one_model_too_long_fails_the_suite(suite, workers):
    done, _ = suite("-n", workers, "--model-seconds", "0.75")
    assert done.returncode == 1 and "6 passed" in done.stdout, done.stdout
    assert "FAILED a took " in done.stdout and "FAILED b" not in done.stdout
