"""What the command lines of this folder share: numbers within bounds, defaults in --help, errors in a line."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn


def whole(least: int) -> Callable[[str], int]:
    """For `type=`: whole numbers from `least` on."""

    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"expected a whole number >= {least}, got {text}")
        return value

    return read


def number(least: float = -math.inf, most: float = math.inf, above: float = -math.inf) -> Callable:
    """For `type=`: numbers from `least` to `most`, and `above` a bound that is none of them."""
    bounds = [(">=", least), ("<=", most), (">", above)]
    words = " and ".join(f"{sign} {bound:g}" for sign, bound in bounds if math.isfinite(bound))

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not (least <= value <= most and value > above):
            raise argparse.ArgumentTypeError(f"expected a number {words}".strip() + f", got {text}")
        return value

    return read


class _WithDefaults(argparse.HelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        text = action.help or ""
        silent = any(action.default is each for each in (None, False, argparse.SUPPRESS))
        if silent or "%(default)" in text or not action.option_strings:
            return text
        return f"{text} (default: %(default)s)"


def parser_of(documentation: str | None, **more: Any) -> argparse.ArgumentParser:
    """A parser that is described by the first line of a module's documentation."""
    head = (documentation or "").split("\n")[0]
    return argparse.ArgumentParser(description=head, formatter_class=_WithDefaults, **more)


def run_command(main: Callable[[], int | None]) -> NoReturn:
    """Exit with what `main` returns, or with 1 and a line `CODE-or-name: message`.

    With DEBUG=1 an error is a traceback.
    """
    try:
        sys.exit(main())
    except Exception as error:
        code = getattr(error, "code", None)  # of models.export
        if os.environ.get("DEBUG") or not (
            isinstance(code, str) or isinstance(error, (ValueError, FileNotFoundError))
        ):
            raise
        message = " ".join(str(error).split())
        print(f"{code or type(error).__name__}: {message}", file=sys.stderr)
        sys.exit(1)
