"""What a term means: from the glossary, the theory page, the tables' columns, and parts handed in."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from lmc.core.errors import SettingError
from lmc.core.schema import TABLES, Column
from lmc.theory.explanation import Explanation, Meaning
from lmc.theory.glossary import Entry, glossary, key
from lmc.theory.page import section, sections
from lmc.theory.parts import Part


def explain(term: str, parts: Iterable[Part] = ()) -> Explanation:
    """Every meaning of a term: of the glossary, theory page, tables, columns and parts, in this order.

    Args:
        term: a term or alias, ``theory 3``, a table (``table match``, ``match``), a column
            (``match.identity``, ``identity``), or a part's name. Case does not count, and spaces, hyphens
            and underscores are alike.

    Raises:
        SettingError: it means nothing; the nearest terms.
    """
    parts = list(parts)
    found = tuple(_meanings(key(term), parts))
    if not found:
        near = ", ".join(_near(key(term), names(parts)))
        hint = f"did you mean {near}?" if near else "lmc explain lists every term"
        raise SettingError(f"explain {term}: unknown term", hint)
    return Explanation(found)


def contents(parts: Iterable[Part] = ()) -> Explanation:
    """Everything that can be explained, one meaning per group: each name with its first sentence."""
    groups: dict[tuple[str, str], list[tuple[str, str]]] = {}
    for entry in dict.fromkeys(glossary().values()):
        groups.setdefault(("glossary", entry.group), []).append((entry.term, _sentence(entry.definition)))
    groups["theory", "Theory page"] = list(_titles())
    for table, declared in _tables().items():
        listed = ", ".join(column.name for column in declared)
        groups.setdefault(("table", "Tables"), []).append((f"table {table}", listed))
    for part in parts:
        first = _sentence(part.meaning().sections[0][1]) if part.docstring else ""
        groups.setdefault((part.kind, f"Each {part.kind}"), []).append((part.name, first))
    return Explanation(tuple(Meaning(*where, tuple(lines)) for where, lines in groups.items()))


def names(parts: Iterable[Part] = ()) -> list[str]:
    """Every word that ``explain`` knows, for completion and near misses."""
    terms = [name for entry in glossary().values() for name in (entry.term, *entry.aliases)]
    tables = [*_tables(), *(f"table {name}" for name in _tables())]
    columns = [column.name for declared in _tables().values() for column in declared]
    theory = ["theory", *(name for name, _ in _titles())]
    return list(dict.fromkeys([*terms, *tables, *columns, *(part.name for part in parts), *theory]))


def _tables() -> Mapping[str, Sequence[Column]]:
    """Every table's columns: the one place that knows how they are declared."""
    return {kind: table.columns for kind, table in TABLES.items()}


def _titles() -> tuple[tuple[str, str], ...]:
    return tuple((f"theory {number}", title) for number, (title, _) in sections().items())


def _meanings(wanted: str, parts: Iterable[Part]) -> Iterator[Meaning]:
    if wanted in glossary():
        yield _term(glossary()[wanted])
    if wanted == "theory":
        yield Meaning("theory", "Theory page", _titles())
    elif number := re.fullmatch(r"theory (\d+)", wanted):
        title, text = section(number[1])
        yield Meaning("theory", f"{number[1]}. {title}", (("", f"\n{text}"),))
    for name, declared in _tables().items():
        if wanted in (key(name), f"table {key(name)}"):
            lines = ((column.name, f"{column.meaning} [{column.dtype}]") for column in declared)
            made = f" Made by: {TABLES[name].made_by}." if TABLES[name].made_by else ""
            yield Meaning("table", f"table {name}", (("", f"{TABLES[name].title}.{made}"), *lines))
    yield from _column(wanted)
    yield from (part.meaning() for part in parts if key(part.name) == wanted)


def _column(wanted: str) -> Iterator[Meaning]:
    """A column of all tables that have it; or of the one before a dot, and then its glossary entry too."""
    table, dot, bare = wanted.rpartition(".")
    where: dict[str, list[str]] = {}
    for name, declared in _tables().items():
        for column in declared:
            if key(column.name) == bare and (not dot or key(name) == table):
                where.setdefault(f"{column.meaning} [{column.dtype}]", []).append(name)
    if where:
        lines = tuple(("in " + ", ".join(tables), text) for text, tables in where.items())
        yield Meaning("column", wanted.replace(" ", "_"), lines)
        if dot and bare in glossary():
            yield _term(glossary()[bare])


def _term(entry: Entry) -> Meaning:
    fields = ("formula", "range", "large", "small", "source")
    lines = [("", entry.definition), *((name, getattr(entry, name)) for name in fields)]
    lines += [("also called", ", ".join(entry.aliases)), ("see", ", ".join(entry.see))]
    return Meaning("glossary", entry.term, tuple(line for line in lines if line[1]))


def _sentence(text: str) -> str:
    """Up to the first full stop; an ellipsis is none, and a question keeps its mark."""
    first = re.split(r"(?<=[^.]\.) ", text, maxsplit=1)[0]
    return first if first.endswith("?") else first.rstrip(".:") + "."


def _near(wanted: str, known: Sequence[str]) -> list[str]:
    """A few names that hold the word, or are spelt like it."""
    keys = {key(name): name for name in reversed(known)}
    holding = sorted((each for each in keys if wanted in each.split()), key=len)
    alike = difflib.get_close_matches(wanted, keys, n=4, cutoff=0.6)
    return [keys[each] for each in dict.fromkeys([*holding, *alike])][:4]
