"""A disk that a test can fill."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Disk:
    """A file system in memory, of a size that a test chooses."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def mount(self, size: str) -> str | None:
        """Mount it empty; why not, if it cannot be."""
        self.path.mkdir(parents=True)
        if os.geteuid() != 0:
            return "only root may mount"
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.path)],
            capture_output=True,
            check=False,
            text=True,
        )
        return done.stderr.strip() or "mount failed" if done.returncode else None

    def grow(self, size: str) -> None:
        """Give it more space."""
        subprocess.run(["mount", "-o", f"remount,size={size}", str(self.path)], check=True)

    def unmount(self) -> None:
        """Take it away, with all that is on it."""
        subprocess.run(["umount", "--lazy", str(self.path)], check=True)
