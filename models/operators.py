"""Which operators TorchScript files use, and whether a model file may use them.

    python -m models.operators FILE.pt ... [--markdown]

One line an operator: its name with the overload, the files that use it, and "refused" where it is not
on the closed list (native/core/archive/operators.inc). Only for files that are trusted: they are
loaded by torch, which checks nothing.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from models.command_line import parser_of, run_command

LIST = Path(__file__).resolve().parents[1] / "native" / "core" / "archive" / "operators.inc"


def allowed_operators(path: Path = LIST) -> set[str]:
    """As native/core/archive/operators.cc reads them: `aten::add.Tensor`, `aten::relu`."""
    found = set()
    for line in path.read_text().splitlines():
        if not line or line.startswith(("#", "constexpr", ')"')):
            continue
        name, colon, overloads = line.partition(": ")
        pairs = (
            [(name, each) for each in overloads.split()]
            if colon
            else [(each, "-") for each in line.split()]
        )
        for base, overload in pairs:
            full = base if base.startswith("prim::") else f"aten::{base}"
            found.add(full if overload == "-" else f"{full}.{overload}")
    return found


def nodes_of(block: Any) -> Iterator[Any]:
    for node in block.nodes():
        yield node
        for inner in node.blocks():
            yield from nodes_of(inner)
        for name in node.attributeNames():
            if node.kindOf(name) == "g":
                yield from nodes_of(node.g(name))


def operators_of(file: Path) -> set[str]:
    """What `forward` calls, with what that calls; what the language itself is made of left out."""
    graph = torch.jit.load(str(file), map_location="cpu").inlined_graph
    schemas = (node.schema() for node in nodes_of(graph))
    return {schema.partition("(")[0] for schema in schemas if schema != "(no schema)"}


def uses(files: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for file in files:
        for operator in operators_of(file):
            found.setdefault(operator, []).append(file)
    return dict(sorted(found.items()))


def main() -> None:
    parser = parser_of(__doc__)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--markdown", action="store_true", help="as a table")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    allowed = allowed_operators()
    for operator, files in uses(arguments.files).items():
        mark = "" if operator in allowed else "refused"
        users = sorted({str(file.with_suffix("")).removesuffix("/model") for file in files})
        if arguments.markdown:
            print(f"| `{operator}` | {', '.join(users)} | {mark} |")
        else:
            print(operator, mark, *users)


if __name__ == "__main__":
    run_command(main)
