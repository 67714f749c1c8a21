"""Tell hatchling the direct dependencies, which stand once, in requirements.in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface


class CustomMetadataHook(MetadataHookInterface):
    """Reads requirements.in, one requirement a line, comments left out."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set ``dependencies`` in the project's metadata."""
        lines = (Path(self.root) / "requirements.in").read_text(encoding="utf-8").splitlines()
        wanted = (line.split("#", 1)[0].strip() for line in lines)
        metadata["dependencies"] = [line for line in wanted if line]
