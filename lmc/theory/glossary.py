"""The glossary as data: ``glossary.md`` is what people read, ``Entry`` what the program reads.

A ``##`` heading opens a group, a ``###`` heading an entry: its definition in prose, then list items
``- field: text``, each field at most once. Code marks are for Markdown only and are taken out.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

from lmc.core.errors import StoredFileError
from lmc.theory.page import read

_SOURCE = re.compile(r"theory [1-7]|arXiv \d{4}\.\d{5}|this program")


@dataclass(frozen=True)
class Entry:
    """One term. Texts are plain; those that were not given are empty.

    ``large`` and ``small`` say what such a value means; ``aliases`` are other names, columns among them.
    """

    term: str
    group: str
    definition: str
    source: str = ""
    formula: str = ""
    range: str = ""
    large: str = ""
    small: str = ""
    aliases: tuple[str, ...] = ()
    see: tuple[str, ...] = ()


_FIELDS = ("formula", "range", "large", "small", "source", "aliases", "see")


def key(name: str) -> str:
    """What a name is looked up by: case does not count, and spaces, hyphens and underscores are alike."""
    return " ".join(re.split(r"[\s_-]+", name.strip().lower()))


@cache
def glossary() -> dict[str, Entry]:
    """Every entry of the shipped glossary by the keys of its names."""
    return by_name(parse(read("glossary.md")))


def by_name(entries: Sequence[Entry]) -> dict[str, Entry]:
    """Entries by the keys of their names; StoredFileError where two share one, or ``see`` is no term."""
    found: dict[str, Entry] = {}
    for entry in entries:
        for name in (entry.term, *entry.aliases):
            if found.setdefault(key(name), entry) is not entry:
                raise _fault(entry.term, f"{name} is a name of {found[key(name)].term} already")
    for entry in entries:
        for other in entry.see:
            if key(other) not in found or found[key(other)].term != other:
                raise _fault(entry.term, f"see {other}: no such term")
    return found


def parse(text: str) -> list[Entry]:
    """The entries of a glossary page, in order; StoredFileError names one that is malformed."""
    entries = []
    for block in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        group, *parts = re.split(r"^### ", block, flags=re.MULTILINE)
        entries += [_entry(group.strip(), *part.split("\n", 1)) for part in parts]
    return entries


def _entry(group: str, term: str, body: str = "") -> Entry:
    definition, *items = (" ".join(part.replace("`", "").split()) for part in re.split(r"(?m)^- ", body))
    fields = dict.fromkeys(_FIELDS, "")
    for item in items:
        name, _, value = item.partition(": ")
        if fields.get(name) != "" or not value:
            raise _fault(term, f"- {item}: expected each of {', '.join(_FIELDS)} once, a colon and text")
        fields[name] = value
    if not (term and definition and all(map(_SOURCE.fullmatch, fields["source"].split("; ")))):
        raise _fault(term, "needs a definition, and a source of theory n, arXiv n or this program")
    if bool(fields["large"]) != bool(fields["small"]) or (fields["large"] and not fields["range"]):
        raise _fault(term, "large and small go together, with a range")
    # A comma without a space belongs to a name, as in C[i,j].
    aliases, see = (tuple(filter(None, fields.pop(name).split(", "))) for name in ("aliases", "see"))
    return Entry(term, group, definition, aliases=aliases, see=see, **fields)


def _fault(term: str, what: str) -> StoredFileError:
    return StoredFileError(f"glossary.md, {term or 'an entry without a name'}: {what}")
