"""A bug that a law must catch. Test modules hold them as `BUGS`; see test_planted.py."""

from typing import NamedTuple


class Bug(NamedTuple):
    """A change of one place in the source, and the tests that must fail for it."""

    name: str
    file: str  # below keras_gen
    old: str
    new: str
    laws: tuple[str, ...]  # tests of the module that holds the bug; of another one as "folder/test_x.py::test_y"
