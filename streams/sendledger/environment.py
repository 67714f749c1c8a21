"""Where settings come from: the environment, a `.env` file under it, `X_FILE` for a secret that stands in a file."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from pydantic_settings import BaseSettings, EnvSettingsSource

FILE_SUFFIX = "_FILE"
INTERNAL_PREFIX = "SENDLEDGER_PARENT_"
_CLOSE = 0.8  # difflib's measure: near enough to be worth a hint
_SURELY_MEANT = 0.88  # KAFKA_* belongs to others too (KAFKA_HEAP_OPTS): only a slip of a letter is worth a word


class Source(EnvSettingsSource):
    """pydantic-settings' reading of names and prefixes, over a given mapping instead of the process's environment."""

    def __init__(self, settings: type[BaseSettings], values: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in values.items() if value.strip()}
        super().__init__(settings)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return self._given


def values_of(settings: type[BaseSettings], environ: Mapping[str, str]) -> dict[str, Any]:
    """The fields of `settings` that `environ` sets, as texts; an empty value counts as not set."""
    return Source(settings, environ)()


def merged(environ: Mapping[str, str], env_file: Path | None) -> dict[str, str]:
    """The environment over the lines of `env_file`; a missing file is an empty one."""
    beneath = dotenv_values(env_file) if env_file is not None and env_file.is_file() else {}
    lines = {name: value for name, value in beneath.items() if value is not None}
    for name in environ:  # X in the environment replaces X_FILE in the file, and the other way round
        lines.pop(name.removesuffix(FILE_SUFFIX), None)
        lines.pop(name + FILE_SUFFIX, None)
    return {**lines, **environ}


def read_secret_files(environ: Mapping[str, str], secrets: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Put the content of the file that X_FILE names in the place of X, for each X of `secrets`.

    Returns:
        The mapping with the contents (trimmed), and a line for each file that could not be used; never a content.
    """
    filled, problems = dict(environ), []
    for name in secrets:
        path = filled.pop(name + FILE_SUFFIX, "").strip()
        if not path:
            continue
        if filled.get(name):
            problems.append(f"{name}: set it or {name}{FILE_SUFFIX}, not both")
            continue
        try:
            filled[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8"
            problems.append(f"{name}{FILE_SUFFIX}: cannot read the file: {reason}")
            continue
        if not filled[name]:
            problems.append(f"{name}{FILE_SUFFIX}: the file is empty")
    return filled, problems


def unknown_names(environ: Mapping[str, str], known: Iterable[str]) -> list[str]:
    """A line for each `SENDLEDGER_…` that no setting has, and for each `KAFKA_…` that looks like a slip."""
    names = sorted(known)
    lines = []
    for name in sorted(set(environ) - set(names)):
        if name.startswith(INTERNAL_PREFIX) or not name.startswith(("SENDLEDGER_", "KAFKA_")):
            continue
        cutoff = _CLOSE if name.startswith("SENDLEDGER_") else _SURELY_MEANT
        closest = difflib.get_close_matches(name, names, n=1, cutoff=cutoff)
        if closest or name.startswith("SENDLEDGER_"):
            hint = f"; did you mean {closest[0]}?" if closest else ""
            lines.append(f"{name}: no such setting, ignored{hint}")
    return lines
