"""The errors a user meets, one tree:

LmcError                 something the user can correct; exit code 2
├── SettingError         a key, type, choice or value of a setting
├── RunReferenceError    a reference that names no run, several, or an epoch never stored
├── DataError            data that is missing or not of the described form
├── MismatchError        runs that cannot be compared or combined
├── StoredFileError      a file that is truncated, foreign, or of another format
└── JobError             a job that failed though the request was right; exit code 1
    ├── OutputError      results could not be written
    └── Interrupted      stopped by the user; exit code 130

A message says what is wrong and what was given, a hint what would be right.
"""

from __future__ import annotations

from collections.abc import Iterable


class LmcError(Exception):
    """Base class of every error meant for the user. Catch this one around any public call."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class SettingError(LmcError):
    """A setting is unknown, of the wrong type, or out of range."""


class RunReferenceError(LmcError):
    """A reference matches no stored run, or more than one."""


class DataError(LmcError):
    """A data set is missing or not of the described form."""


class MismatchError(LmcError):
    """Runs differ in shapes, data, or (D, f) and cannot be used together."""


class StoredFileError(LmcError):
    """A stored file is truncated, foreign, or of an unknown format."""


class JobError(LmcError):
    """A job failed although the request was right."""

    exit_code = 1


class OutputError(JobError):
    """The outputs folder cannot be written: full, read-only, or not a folder."""


class Interrupted(JobError):
    """The user stopped the job; what was finished is stored and the rest can go on."""

    exit_code = 130


def raise_together(faults: Iterable[LmcError]) -> None:
    """Raise all faults as one error, one line per fault; do nothing when there are none.

    A user who mistyped two keys wants to see both at once. The first fault decides the class.
    """
    found = list(dict.fromkeys((type(fault), str(fault)) for fault in faults))
    if found:
        raise found[0][0]("\n".join(text for _, text in found))


def first_line(error: BaseException) -> str:
    """An error of another library in one line: its type, and where its first sentence ends."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = f"{type(error).__name__}: {lines[0].partition('. ')[0]}" if lines else type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."
