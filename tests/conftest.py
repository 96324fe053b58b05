import gc
import os
import signal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
if "PYTEST_XDIST_WORKER" in os.environ:  # as many processes as cores: one thread each
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

import pytest

# Traced functions are heaps of long-lived objects, in which each collection of Python's default looks for little.
gc.set_threshold(200_000, 20, 50)


def pytest_addoption(parser):
    parser.addoption("--since", metavar="REV", help="planted bugs: only where the source or its laws changed since")
    parser.addoption("--model-seconds", type=float, default=60.0, help="CPU seconds that one model may take")


def pytest_configure(config):
    from cost import Cost

    config.pluginmanager.register(Cost(config.getoption("--model-seconds")), "cost")


@pytest.fixture
def digits():
    """Real 8x8 handwritten digits, float32 in [-1, 1], (256, 8, 8, 1)."""
    from tiny import real_digits

    return real_digits(256)[0]


@pytest.fixture
def seeded():
    import keras

    keras.utils.set_random_seed(0)


@pytest.fixture
def ctrl_c():
    """Lets SIGINT through, to new processes too, where a shell runs the tests in the background with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
