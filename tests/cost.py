"""CPU seconds of every model in the default suite, contract and laws together, over all workers; a pytest plugin."""

import collections
import resource
import time
from pathlib import Path

import pytest

SHOWN = 10  # of the longest tests


def model_of(item):
    """Returns whose test this is: of a module in models/<family>, or of a row in the contract; else None."""
    parts = item.path.relative_to(Path(__file__).resolve().parent).parts
    if item.get_closest_marker("slow") is None:
        if parts[0] == "models":
            return item.path.stem.removeprefix("test_")
        if parts[0] == "contract" and hasattr(item, "callspec"):
            named = item.callspec.params.get("row") or item.callspec.params.get("model")
            return named and named.partition("-")[0]
    return None


def seconds():
    """Returns CPU seconds of this process and of those that it has waited for."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


class Cost:
    """Each report of a test says whose time it took; where the reports come together they are summed."""

    def __init__(self, limit):
        self.limit = limit
        self.sums = collections.Counter()
        self.tests = collections.Counter()
        self.since = 0.0

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self, item):
        self.since = seconds()
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item):
        report = yield
        if report.when == "teardown":
            report.user_properties.append(("cpu", [model_of(item), seconds() - self.since]))
        return report

    def pytest_runtest_logreport(self, report):
        for name, value in report.user_properties:
            if name == "cpu":
                model, spent = value
                self.tests[report.nodeid] += spent
                if model:
                    self.sums[model] += spent

    def over(self):
        return {model: spent for model, spent in self.sums.items() if spent > self.limit}

    def pytest_sessionfinish(self, session):
        if self.over() and not hasattr(session.config, "workerinput") and session.exitstatus == 0:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter):
        if not self.sums:
            return
        terminalreporter.section("CPU seconds of models, contract and laws together")
        each = [f"{model} {spent:.1f}" for model, spent in self.sums.most_common()]
        terminalreporter.write_line(", ".join(each))
        longest = [f"{spent:6.1f} {test}" for test, spent in self.tests.most_common(SHOWN)]
        terminalreporter.write_line("the ten longest tests:\n" + "\n".join(longest))
        for model, spent in self.over().items():
            said = f"{model} took {spent:.1f} CPU seconds; expected at most {self.limit:g}"
            terminalreporter.write_line(f"FAILED {said}: take smaller rows, or mark training slow", red=True)
