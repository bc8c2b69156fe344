"""How a command ends: the lines on stderr and the exit code of everything that can go wrong."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable

from lmc.core.errors import LmcError

BUG = "this is a bug; run again with --debug for the traceback"


def describe(error: BaseException) -> tuple[list[str], int]:
    """What to tell the user, without the word ``error``, and the exit code."""
    if isinstance(error, LmcError):
        return str(error).splitlines(), error.exit_code
    if hasattr(error, "format_message"):
        return [_usage(error)], getattr(error, "exit_code", 2)
    lines = str(error).splitlines()
    return [f"{type(error).__name__}{': ' + lines[0] if lines else ''} ({BUG})"], 1


def guarded(action: Callable[[], object], debug: bool = False) -> int:
    """Run ``action``; its exit code, or that of its error, which is printed as plain lines.

    A reader of stdout that has seen enough (``| head``) is no error: what is stored is stored.
    """
    try:
        result = action()
        sys.stdout.flush()
        return result if isinstance(result, int) else 0
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        print(f"error: {str(stop) or 'stopped'}", file=sys.stderr)
        return 130
    except Exception as error:
        if debug:
            traceback.print_exc()
        lines, code = describe(error)
        for line in lines:
            print(f"error: {line}", file=sys.stderr)
        return code


def _usage(error: BaseException) -> str:
    """Typer's complaint about options, on one line; it has no public class that all its versions share."""
    context = getattr(error, "ctx", None)
    where = f"see {context.command_path} --help" if context else "see lmc --help"
    option = getattr(error, "option_name", None)
    if option and "requires an argument" not in str(error):
        close = getattr(error, "possibilities", None) or []
        return f"{option}: unknown option ({f'did you mean {close[0]}? ' if close else ''}{where})"
    message = " ".join(str(error.format_message()).split())  # type: ignore[attr-defined]
    return f"{message.rstrip('.')} ({where})"
