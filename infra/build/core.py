"""Put the fold's library into a wheel, which is then for one platform (and any Python: nothing is linked to it)."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from packaging.tags import platform_tags


class CoreBuildHook(BuildHookInterface[Any]):
    """Builds the library with cargo; an editable install uses the one that `infra/setup.sh` builds."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add it to the wheel's files and name the platform."""
        if version == "editable":
            return
        crate = Path(self.root, "streams", "foldcore")
        manifest, target = str(crate / "Cargo.toml"), str(crate / "target")
        build = ["cargo", "build", "--release", "--offline", "--quiet", "--manifest-path", manifest]
        subprocess.run([*build, "--target-dir", target], check=True)
        names = (crate / "target" / "release" / name for name in ("libfoldcore.so", "libfoldcore.dylib"))
        built = next(path for path in names if path.exists())
        build_data["force_include"][str(built)] = "sendledger/edges/libfoldcore.native"
        build_data["tag"] = f"py3-none-{next(iter(platform_tags()))}"
