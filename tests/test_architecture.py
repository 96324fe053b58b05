"""The house: rooms on strict floors, what a room never imports, and what importing must not do."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# A room imports rooms of lower floors only, never one of its own floor: from the ground to the roof.
FLOORS = [
    {"errors"},
    {"losses", "terminal", "recipes"},
    {"layers", "information", "distribution", "tokenizer", "registry"},
    {"files"},
    {"signatures"},
    {"data", "images"},
    {"networks", "latent", "ops"},
    {"game", "outliers"},
    {"callbacks", "compression"},
    {"metrics"},
    {"models", "cli"},
    {"export"},
    {"__init__", "__main__"},
]
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
NEVER = {  # besides what the floors say
    "layers": {"losses", "terminal", "recipes"},
    "losses": set(),
    "data": {"registry", "recipes"},
    "game": {"recipes"},
    "models": {"data", "callbacks", "recipes"},
    "files": {"recipes"},
}
WITHOUT_TENSORFLOW = ["errors", "registry", "recipes", "signatures", "signatures.signature", "signatures.draws"]
WITHOUT_TENSORFLOW += ["signatures.exported", "files", "files.writing", "files.runs", "ops", "game", "cli.parser"]
WITHOUT_TENSORFLOW += ["signatures.law"]


def modules(*tops):
    return sorted(path for top in tops for path in (ROOT / top).rglob("*.py"))


def imports(text):
    """Yields the dotted names that a source imports, those inside of functions too."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def room_of(path):
    """Returns the room of a file: a folder or a module below `keras_gen`, or `export`."""
    top, *rest = path.relative_to(ROOT).parts
    return "export" if top == "export" else rest[0].removesuffix(".py")


def room_named(name):
    """Returns the room of a dotted name, or nothing for one that is not ours."""
    top, *rest = name.split(".")
    if top == "export":
        return "export"
    if top != "keras_gen":
        return None
    return rest[0] if rest and rest[0] in FLOOR else "__init__"


def wrong(here, text, whole=True):
    """Returns the imports of a room's source that its floor, or a rule besides, forbids."""
    found = []
    for name in imports(text):
        there = room_named(name)
        if there is None or there == here or name == "keras_gen.__version__":
            continue
        if here != "__main__" and FLOOR[there] >= FLOOR[here] or there in NEVER.get(here, ()):
            found.append(name)
        if here == "game" and there == "data" and not name.startswith("keras_gen.data.examples."):
            found.append(name)
        if there == "cli" and here != "__main__" and not name.startswith("keras_gen.cli.command."):
            found.append(name)
    return found


@pytest.mark.parametrize("path", modules("keras_gen", "export"), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_room_imports_lower_rooms_only(path):
    assert not wrong(room_of(path), path.read_text())


@pytest.mark.parametrize(
    ("room", "planted"),
    [
        ("game", "from keras_gen.callbacks import Checkpoint"),  # upward
        ("files", "def load():\n    import keras_gen.models.adversarial.gan"),  # upward, inside of a function
        ("ops", "from keras_gen import networks"),  # sideways
        ("data", "from keras_gen.images import grid"),  # sideways
        ("metrics", "import keras_gen"),  # through the roof
        ("game", "from keras_gen.data import catalog"),
        ("models", "from keras_gen.data.examples import Examples"),
        ("layers", "from keras_gen.losses import mean"),
        ("export", "from keras_gen.cli.settings import job"),
    ],
)
def test_a_planted_import_is_found(room, planted):
    path = next(path for path in modules("keras_gen", "export") if room_of(path) == room)
    assert wrong(room, path.read_text() + "\n" + planted)


def test_rooms_and_files_are_few_and_small():
    listed = subprocess.run(["git", "ls-files", "keras_gen"], capture_output=True, text=True, cwd=ROOT)
    if listed.returncode == 0:  # a copy without its history has no list
        assert len({name.split("/")[1] for name in listed.stdout.splitlines()}) <= 26
    for path in modules("keras_gen", "export"):
        assert len(path.read_text().splitlines()) <= 400, path
    assert len((ROOT / "keras_gen/game/step.py").read_text().splitlines()) <= 160


@pytest.mark.parametrize("path", sorted((ROOT / "keras_gen/models").glob("*/[a-z]*.py")), ids=lambda path: path.stem)
def test_a_model_imports_no_sibling_but_its_base(path):
    text = path.read_text()
    classes = [node for node in ast.parse(text).body if isinstance(node, ast.ClassDef)]
    assert len(classes) <= 1, "one class per model file"
    bases = {base.id for node in classes for base in node.bases}
    for name in imports(text):
        if name.startswith("keras_gen.models."):
            assert name.split(".")[-1] in bases, name


@pytest.mark.parametrize("path", modules("export"), ids=lambda path: path.stem)
def test_export_names_no_model(path):
    import keras_gen

    text = path.read_text().lower()
    for name in keras_gen.names():
        assert f'"{name}"' not in text, f"{path} mentions the model {name}"


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, timeout=120)


def test_importing_loads_neither_numpy_nor_keras():
    out = python(
        "import sys, keras_gen; assert keras_gen.__version__ and keras_gen.names();"
        "assert not {'tensorflow', 'keras', 'numpy'} & set(sys.modules)"
    )
    assert out.returncode == 0, out.stderr[-1000:]


def test_importing_creates_no_tensorflow_context():
    code = "import keras_gen.game.model; from tensorflow.python.eager import context;"
    out = python(f"{code} assert not context.context()._initialized")
    assert out.returncode == 0, out.stderr[-1000:]


@pytest.mark.parametrize("module", WITHOUT_TENSORFLOW)
def test_a_light_room_stays_light(module):
    out = python(
        f"import sys, keras_gen.{module}; loaded = {{'tensorflow', 'keras'}} & set(sys.modules); assert not loaded"
    )
    assert out.returncode == 0, out.stderr[-1000:]


def test_every_public_name_is_there_after_a_bare_import():
    import keras_gen

    for name in keras_gen.__all__:
        assert getattr(keras_gen, name) is not None
    with pytest.raises(AttributeError, match="nothing"):
        _ = keras_gen.nothing


def test_names_in_docstrings_exist():
    import keras_gen

    found = set()
    for path in [*modules("keras_gen", "export", "examples"), ROOT / "README.md"]:
        if path.name == "registry.py":
            continue  # which knows the names of earlier versions
        found |= set(re.findall(r"(?<![\w/.])keras_gen((?:\.[A-Za-z_]\w*)+)(?![\w/*]|\.\w)", path.read_text()))
    for name in sorted(found):
        part = keras_gen
        if room_named(f"keras_gen{name}") == "cli" or name.endswith((".py", ".toml", ".txt")):
            continue
        for word in name.split(".")[1:]:
            try:
                part = getattr(part, word)
            except AttributeError:
                part = __import__(f"{part.__name__}.{word}", fromlist=["_"])


STIFF = re.compile(
    r"\b(laws?|told of|minus the|now and then|sound or not)\b|(?<!in )(?<!its )\bplaces?\b|images as bytes",
    re.IGNORECASE,
)


def first_lines(text):
    """Yields the first lines of the docstrings of a module and of what is public in it."""
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if node is tree or isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            yield (ast.get_docstring(node) or "").partition("\n")[0]


@pytest.mark.parametrize("room", sorted({*FLOOR} - {"cli", "__main__"}))
def test_first_lines_speak_the_words_of_the_field(room):
    for path in modules("keras_gen", "export"):
        for line in first_lines(path.read_text()) if room_of(path) == room else ():
            assert not STIFF.search(re.sub("`[^`]*`", "", line)), f"{path}: {line}"


def test_a_stiff_first_line_is_found():
    for line in (
        "Returns minus the bound.",
        "Computes one place.",
        "An encoder whose code is a law.",
        "Images as bytes.",
    ):
        assert STIFF.search(line)
    assert not STIFF.search("Puts the file in its place, in place of the old one.")


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]])
def test_ruff_is_content(command):
    out = subprocess.run([sys.executable, "-m", "ruff", *command, "."], capture_output=True, text=True, cwd=ROOT)
    assert out.returncode == 0, out.stdout[-3000:]
