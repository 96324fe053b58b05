"""Writes README's list and table of models, from the recipes and the docstrings: python tests/readme_models.py."""

import ast
import re
from pathlib import Path

from keras_gen import registry
from keras_gen.cli import declared

README = Path(__file__).parents[1] / "README.md"
WIDTH = 122


def families():
    """Returns the models of each family, in the order of the names."""
    found = {}
    for name in registry.names():
        found.setdefault(registry.family(name), []).append(name)
    return dict(sorted(found.items()))


def listed():
    """Returns the models by family, in lines."""
    lines = []
    for family, names in families().items():
        line = f"* {family}:"
        for name in names:
            word = f" `{name}`" + ("," if name != names[-1] else "")
            if len(line) + len(word) > WIDTH:
                lines.append(line)
                line = " "
            line += word
        lines.append(line)
    return "\n".join(lines)


def table():
    """Returns a row for each model: name, density, first line of its docstring, source."""
    rows = ["| model | density | | source |", "| --- | --- | --- | --- |"]
    for names in families().values():
        for name in names:
            one = declared.of_model(name)
            reference = re.search(r"^Reference:(.*?)(^\w+:|\Z)", ast.get_docstring(one.node), re.DOTALL | re.MULTILINE)
            # Of the first paper, what stands before the next: its number, or else its year.
            first = reference[1].partition(";")[0]
            source = re.search(r"arXiv:\d{4}\.\d{4,5}", first) or re.search(r"\b(19|20)\d\d\b", first)
            rows.append(f"| `{name}` | {one.variable('density')} | {one.summary} | {source[0]} |")
    return "\n".join(rows)


def written(text):
    """Returns README with its list and its table as they are now."""
    for what, made in (("list", listed()), ("table", table())):
        start = f"<!-- {what} of models: written by tests/readme_models.py -->\n"
        before, found, rest = text.partition(start)
        assert found, f"README has no place for the {what}"
        text = before + start + made + "\n<!-- end -->" + rest.partition("<!-- end -->")[2]
    return text


if __name__ == "__main__":
    README.write_text(written(README.read_text(encoding="utf-8")), encoding="utf-8")
