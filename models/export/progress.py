"""What an export says while it works: sentences for people, or one JSON object a line for programs."""

from __future__ import annotations

import json
import sys
import time
from typing import Any, TextIO

STATES = {
    "loading": "reads",
    "evaluating": "evaluates",
    "tracing": "traces",
    "checking": "checks",
    "writing": "writes",
    "reading back": "reads back",
    "done": "wrote",
    "kept": "kept",
}


class Progress:
    """Events: start (components), component (name, state, index, total, and bytes when done or kept),
    warning (message), check (folder, values) when the loader is asked, done (out), error (code, message,
    received, expected). `seconds` since the start."""

    def __init__(self, *, json_lines: bool = False, stream: TextIO | None = None) -> None:
        self.json_lines = json_lines
        self.stream = stream or sys.stderr
        self.started = time.monotonic()

    def event(self, kind: str, **details: Any) -> None:
        seconds = round(time.monotonic() - self.started, 2)
        if self.json_lines:
            line = json.dumps({"event": kind, "seconds": seconds, **details})
        else:
            line = self.sentence(kind, seconds, **details)
        print(line, file=self.stream, flush=True)

    @staticmethod
    def sentence(kind: str, seconds: float, **details: Any) -> str:
        if kind == "component":
            size = f" ({details['bytes'] / 1e6:,.1f} MB)" if "bytes" in details else ""
            place = f"{details['index'] + 1}/{details['total']}"
            return f"{seconds:8.1f} s  {place} {STATES[details['state']]} {details['name']}{size}"
        if kind == "start":
            return f"{seconds:8.1f} s  exports {', '.join(details['components'])}"
        if kind == "check":
            return f"{seconds:8.1f} s  the loader opens it"
        if kind == "done":
            return f"{seconds:8.1f} s  {details['out']}"
        prefix = details.get("code", "warning")
        return f"{prefix}: {details['message']}"


class Silent(Progress):
    """For callers that do not want to hear of it."""

    def event(self, kind: str, **details: Any) -> None:
        pass
