import shutil
from pathlib import Path

import pytest
from small_run import train


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A finished run of one epoch and a half."""
    folder = tmp_path_factory.mktemp("runs") / "saved_models" / "small"
    assert train("--steps", 9, "--output", folder, "--seed", 3, "--set", "ema=0.5") == 0
    return folder


@pytest.fixture
def copied(run, tmp_path):
    """A copy of the finished run, for a test that changes it."""
    return Path(shutil.copytree(run, tmp_path / "copy"))
