"""What the command installs: every package of requirements.txt, and all that they depend on, with checksums."""

from __future__ import annotations

import re
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import models.export

FOLDER = Path(models.export.__file__).parent
# Installed before, with what it needs.
TORCH = "torch"


def locked() -> dict[str, list[Requirement]]:
    text = (FOLDER / "requirements.lock.txt").read_text().replace("\\\n", " ")
    result: dict[str, list[Requirement]] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        name, *hashes = line.split("--hash=")
        assert hashes and all(re.fullmatch(r"sha256:[0-9a-f]{64}\s*", each) for each in hashes)
        requirement = Requirement(name.strip())
        result.setdefault(canonicalize_name(requirement.name), []).append(requirement)
    return result


def test_every_package_is_there_in_a_version_that_is_asked_for():
    lock = locked()
    for line in (FOLDER / "requirements.txt").read_text().splitlines():
        if line.startswith("#"):
            continue
        wanted = Requirement(line)
        for found in lock[canonicalize_name(wanted.name)]:
            (pin,) = found.specifier
            assert pin.operator == "=="
            assert wanted.specifier.contains(pin.version, prereleases=True)


def test_what_they_depend_on_is_there_too():
    """pip does not look for it (--no-deps)."""
    lock = locked()
    assert TORCH not in lock
    for name in ("diffusers", "transformers", "accelerate", "huggingface-hub", "tokenizers"):
        for text in requires(name) or ():
            needed = Requirement(text)
            if needed.marker is None or needed.marker.evaluate({"extra": ""}):
                assert canonicalize_name(needed.name) in {*lock, TORCH}, needed


def test_no_host_is_named():
    assert "://" not in (FOLDER / "requirements.lock.txt").read_text()
