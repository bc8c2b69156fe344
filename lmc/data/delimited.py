"""Text files of rows: their encoding, separator and decimal sign are found out, and told where unusual."""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from lmc.core.errors import DataError
from lmc.data.missing import WORDS

SUFFIXES = ("csv", "tsv", "csv.gz", "tsv.gz")
_SEPARATORS = (",", ";", "\t", "|")
_NAMES = {";": "semicolons", "\t": "tabs", "|": "bars"}
_MARKS = ((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SAMPLE, _ROWS = 1 << 16, 200
_COMMA = re.compile(r"[+-]?\d*,(\d{1,2}|\d{4,})([eE][+-]?\d+)?|[+-]?0?,\d+([eE][+-]?\d+)?")
_POINT = re.compile(r"[+-]?\d*\.\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Dialect:
    """How a file is written. ``decimal`` is the sign before the fraction of a number."""

    encoding: str
    separator: str
    decimal: str

    def __str__(self) -> str:
        told = [f"columns separated by {_NAMES[self.separator]}"] if self.separator in _NAMES else []
        told += ["decimal commas"] if self.decimal == "," else []
        if self.encoding == "latin-1":
            told.append("not UTF-8, so its text is taken as Latin-1")
        return ", ".join(told)


def read(file: Path, say: Callable[[str], None]) -> pa.Table:
    """The rows under the file's first line, which names the columns; words for no value are null in numbers.

    Raises:
        DataError: it is no text of rows of equal length.
    """
    written = dialect(file)
    if str(written):
        say(f"{file.name}: {written}")
    nulls = [before + word + after for word in WORDS for before in ("", " ") for after in ("", " ")]
    try:
        table = pyarrow.csv.read_csv(
            file,
            read_options=pyarrow.csv.ReadOptions(encoding=written.encoding),
            parse_options=pyarrow.csv.ParseOptions(delimiter=written.separator, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(null_values=nulls, decimal_point=written.decimal),
        )
    except (pa.ArrowException, UnicodeError) as error:
        raise DataError(f"data.path: {file} cannot be read: {str(error).splitlines()[0]}") from error
    names = [name.strip() for name in table.column_names]
    return table.rename_columns(names) if len({*names}) == len(names) else table


def dialect(file: Path) -> Dialect:
    """How a file is written, from all of its bytes (the encoding) and its first rows (the signs).

    The separator is the one by which these rows have equally many columns, the most of them; the comma
    where several do or none does. A comma is decimal where it separates no columns, some number has
    other than three digits after it, and no number has a point.
    """
    encoding = _encoding(file)
    with pa.input_stream(str(file)) as stream:
        raw = stream.read(_SAMPLE)
    text = codecs.getincrementaldecoder(encoding)(errors="ignore").decode(raw)
    lines = text.replace("\r\n", "\n").split("\n")[: _ROWS + 1]
    lines = lines[:-1] if len(raw) == _SAMPLE and len(lines) > 1 else lines
    rows = {sign: _rows(lines, sign) for sign in _SEPARATORS}
    widths: dict[str, float] = {sign: _width(found) for sign, found in rows.items()}
    if not any(widths.values()):
        widths = {sign: _share(found) for sign, found in rows.items()}
    separator = max(_SEPARATORS, key=lambda sign: widths[sign])
    cells = [cell.strip() for row in rows[separator][1:] for cell in row]
    comma = separator != "," and any(map(_COMMA.fullmatch, cells)) and not any(map(_POINT.fullmatch, cells))
    return Dialect(encoding, separator, "," if comma else ".")


def _encoding(file: Path) -> str:
    """UTF-8, what the file's first bytes mark, else Latin-1, in which every byte is a letter."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with pa.input_stream(str(file)) as stream:
        part = stream.read(_SAMPLE)
        marked = next((name for mark, name in _MARKS if part.startswith(mark)), None)
        if marked:
            return marked
        if b"\0" in part:
            raise DataError(f"data.path: {file} cannot be read: holds zero bytes, which are no text of UTF-8")
        try:
            while part:
                decoder.decode(part)
                part = stream.read(_SAMPLE)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "latin-1"
    return "utf-8"


def _rows(lines: list[str], separator: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        return []


def _share(rows: list[list[str]]) -> float:
    """The usual number of columns, where it is more than one, times the share of rows that have it."""
    widths = [len(row) for row in rows]
    usual = max(set(widths), key=widths.count, default=0)
    return usual * widths.count(usual) / len(widths) if usual > 1 else 0.0


def _width(rows: list[list[str]]) -> int:
    """How many columns all rows have; 0 where they differ or have only one."""
    widths = {len(row) for row in rows}
    return max(widths) if len(widths) == 1 and max(widths) > 1 else 0
