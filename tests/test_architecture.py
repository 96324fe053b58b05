"""The floors: imports point down only; and what importing must not do."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = [
    {"errors", "config", "quiet", "signature", "draws", "registry", "random", "distribution", "losses", "penalties"}
    | {"decoding", "optimizers", "progress", "tokenizer"}
    | {"information", "files", "archive", "batch", "feed", "attacks"},
    {"layers", "data", "metrics", "images", "exported", "augment"},
    {"networks", "fitting", "inference"},
    {"model", "callbacks", "monitors", "evaluation", "latent", "outliers", "saving", "compression"},
    {"models", "recipes"},
    {"__init__", "__main__", "cli"},
]
EXPORT_MAY_IMPORT = {"get", "load", "names", "errors", "files", "exported", "signature", "quiet", "__version__"}


def floor(part):
    return next(number for number, parts in enumerate(FLOORS) if part in parts)


def imports(path):
    """Yields the dotted names that a file imports from our packages, lazy imports too."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for name in node.names:
                yield f"{node.module}.{name.name}"
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def part_of(path):
    return path.relative_to(ROOT / "keras_gen").parts[0].removesuffix(".py")


LIBRARY = sorted((ROOT / "keras_gen").rglob("*.py"))


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    here = part_of(path)
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "export":
            pytest.fail(f"{path} imports {name}: export stands above keras_gen")
        if parts[0] != "keras_gen" or len(parts) < 2:
            continue
        there = parts[1]
        known = any(there in floor_parts for floor_parts in FLOORS)
        if not known or there == here:
            assert known or here in ("cli", "__init__"), f"{path} imports {name}, which is on no floor"
            continue
        assert floor(there) <= floor(here), f"{path} (floor {floor(here)}) imports {name} (floor {floor(there)})"


@pytest.mark.parametrize("path", sorted((ROOT / "keras_gen" / "models").glob("*.py")), ids=lambda path: path.stem)
def test_a_model_imports_its_base_and_never_data_or_a_sibling_that_is_not_its_base(path):
    tree = ast.parse(path.read_text())
    bases = {base.id for node in tree.body if isinstance(node, ast.ClassDef) for base in node.bases}
    assert sum(isinstance(node, ast.ClassDef) for node in tree.body) <= 1, "one class per model file"
    for name in imports(path):
        if name.startswith("keras_gen.models."):
            assert name.split(".")[-1] in bases, name
        assert not name.startswith("keras_gen.data"), name


@pytest.mark.parametrize("path", sorted((ROOT / "export").glob("*.py")), ids=lambda path: path.stem)
def test_export_knows_models_only_through_their_signatures(path):
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "keras_gen" and len(parts) > 1:
            assert parts[1] in EXPORT_MAY_IMPORT, name
    text = path.read_text().lower()
    import keras_gen

    for name in keras_gen.names():
        assert f'"{name}"' not in text, f"{path} mentions the model {name}"


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_importing_creates_no_tensorflow_context():
    code = (
        "import sys, keras_gen; assert keras_gen.__version__ and keras_gen.names();"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules);"
        "import keras_gen.model; from tensorflow.python.eager import context;"
        "assert not context.context()._initialized"
    )
    out = python(code)
    assert out.returncode == 0, out.stderr[-1000:]


def test_every_public_name_is_there_after_a_bare_import():
    import keras_gen

    for name in keras_gen.__all__:
        assert getattr(keras_gen, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = keras_gen.nothing


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_is_content(command):
    out = subprocess.run([sys.executable, "-m", "ruff", *command, "."], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stdout[-3000:]
