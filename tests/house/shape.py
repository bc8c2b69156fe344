"""What a tree looks like, in numbers: ``python tests/house/shape.py [TREE [OTHER]]``.

Plain Python that reads files and imports nothing of them, so that any two trees can be laid side by side.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import combinations
from pathlib import Path
from statistics import median

LONG, MANY, SAME = 40, 6, 6
Function = ast.FunctionDef | ast.AsyncFunctionDef
Place = tuple[str, int]


class Module:
    """One file: its dotted name, room, lines and syntax tree."""

    def __init__(self, path: Path, name: str) -> None:
        self.path, self.name, text = path, name, path.read_text()
        self.lines, self.tree = text.splitlines(), ast.parse(text)
        self.room = name if path.name == "__init__.py" else name.rpartition(".")[0]
        self.nodes = list(ast.walk(self.tree))

    def is_command(self) -> bool:
        """Whether it is a file of ``lmc/jobs`` itself with a function ``run``."""
        own = (node.name for node in self.tree.body if isinstance(node, Function))
        return self.room == "lmc.jobs" != self.name and "run" in own

    def imported(self, known: Iterable[str]) -> set[str]:
        """The modules it imports, wherever the statement stands; of a package the parts that are taken."""
        found = {alias.name for node in self.nodes if isinstance(node, ast.Import) for alias in node.names}
        for node in self.nodes:
            if isinstance(node, ast.ImportFrom):
                room = self.room.split(".")
                above = room[: len(room) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                parts = [f"{base}.{alias.name}" for alias in node.names]
                found |= {part if part in known else base for part in parts}
        return found.intersection(known) - {self.name}

    def code(self) -> list[str]:
        """Its lines but blank ones, comments and imports."""
        imports = [node for node in self.nodes if isinstance(node, ast.Import | ast.ImportFrom)]
        out = {line for node in imports for line in range(node.lineno, (node.end_lineno or 0) + 1)}
        texts = (line.strip() for number, line in enumerate(self.lines, 1) if number not in out)
        return [text for text in texts if text and not text.startswith("#")]

    def functions(self) -> Iterator[tuple[str, int, int]]:
        """Of every function its full name, lines without its docstring, and parameters without self."""
        for node in self.nodes:
            if isinstance(node, Function):
                first = node.body[0]
                told = (first.end_lineno or 0) - first.lineno + 1 if ast.get_docstring(node) else 0
                taken = [
                    each.arg for each in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
                ]
                length = (node.end_lineno or 0) - node.lineno + 1 - told
                yield f"{self.name}.{node.name}", length, len(taken) - (taken[:1] in (["self"], ["cls"]))


class Tree:
    """The program in a folder, ``lmc/`` and ``cli/``."""

    def __init__(self, root: Path) -> None:
        paths = sorted(path for top in ("lmc", "cli") for path in (root / top).rglob("*.py"))
        dotted = {path: ".".join(path.relative_to(root).with_suffix("").parts) for path in paths}
        names = {path: f"lmc.{name}".replace("lmc.lmc", "lmc") for path, name in dotted.items()}
        self.modules = [Module(path, name.removesuffix(".__init__")) for path, name in names.items()]
        self.jobs = [each for each in self.modules if f"{each.name}.".startswith("lmc.jobs.")]
        self.commands = [each for each in self.jobs if each.is_command()]
        known, inside = ({each.name for each in held} for held in (self.modules, self.jobs))
        self.arrows = {each.name: each.imported(known) & inside for each in self.jobs}
        self.functions = [each for module in self.modules for each in module.functions()]

    def long_functions(self, within: str = "lmc.") -> list[str]:
        """Those of a room and the rooms in it that fill more than a screen."""
        return [name for name, length, _ in self.functions if length > LONG and name.startswith(within)]

    def sideways(self) -> dict[str, set[str]]:
        """The commands that import another command's file, and which."""
        names = {each.name for each in self.commands}
        return {name: self.arrows[name] & names for name in names if self.arrows[name] & names}

    def floors(self) -> int:
        """Modules on the longest chain of imports in ``lmc/jobs``; a loop is walked once."""
        height: dict[str, int] = {}

        def climb(name: str, above: tuple[str, ...]) -> int:
            if name not in height:
                below = [climb(each, (*above, name)) for each in self.arrows[name] if each not in above]
                height[name] = 1 + max(below, default=0)
            return height[name]

        return max((climb(name, (name,)) for name in self.arrows), default=0)

    def duplicates(self) -> set[tuple[Place, Place]]:
        """Pairs of places from which on six or more lines of code are equal; the longest run counts once."""
        places: dict[tuple[str, ...], list[Place]] = defaultdict(list)
        for module in self.modules:
            code = module.code()
            for start in range(len(code) - SAME + 1):
                places[tuple(code[start : start + SAME])].append((module.name, start))
        pairs = {pair for found in places.values() for pair in combinations(found, 2)}
        return {(a, b) for a, b in pairs if ((a[0], a[1] - 1), (b[0], b[1] - 1)) not in pairs}

    def numbers(self) -> dict[str, object]:
        """Every row of the table."""
        rooms: dict[str, list[Module]] = defaultdict(list)
        for module in self.modules:
            rooms[module.room].append(module)
        rooms = {room: rooms[room] for room in sorted(rooms)}
        rooms |= {"all of lmc.jobs": self.jobs, "commands of lmc.jobs": self.commands, "all": self.modules}
        return {f"{room}: files, lines, median, largest": sizes(held) for room, held in rooms.items()} | {
            "functions": len(self.functions),
            "functions over 40 lines": len(self.long_functions()),
            "functions over 40 lines in lmc.jobs": len(self.long_functions("lmc.jobs.")),
            "functions with more than 6 parameters": sum(count > MANY for *_, count in self.functions),
            "imports between modules of lmc.jobs": sum(map(len, self.arrows.values())),
            "modules on the longest chain of these": self.floors(),
            "commands that import another command": len(self.sideways()),
            "pairs of places with six equal lines": len(self.duplicates()),
        }


def sizes(modules: list[Module]) -> str:
    """How many files and lines, the median file and the largest."""
    lengths = sorted((len(each.lines), each.path.name) for each in modules) or [(0, "")]
    lines = [length for length, _ in lengths]
    return f"{len(modules)}, {sum(lines)}, {median(lines):g}, {lines[-1]} {lengths[-1][1]}"


def main(roots: list[str]) -> None:
    """Print the table of one tree, or of several side by side."""
    columns = [Tree(Path(root)).numbers() for root in roots]
    keys = dict.fromkeys(key for column in columns for key in column)
    cells = [["", *roots], *([key, *(str(column.get(key, "-")) for column in columns)] for key in keys)]
    widths = [max(map(len, column)) for column in zip(*cells)]
    for row in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main(sys.argv[1:] or ["."])
