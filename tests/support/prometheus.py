"""A real Prometheus (Debian's) in tests: started on a free port with the project's own configuration, and asked."""

from __future__ import annotations

import asyncio
import math
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import yaml

from sendledger.demo.ports import free_run

CONFIGURATION = Path(__file__).parents[2] / "infra" / "prometheus" / "prometheus.yml"

Json = dict[str, Any]


def tool(name: str) -> str:
    """Its path. Without it the test is skipped, and fails where CI is set."""
    if (path := shutil.which(name)) is None:
        why = f"{name} is missing: infra/setup_tests.sh installs it from Debian (make test runs it)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(why)
    return str(path)


def configuration(ports: Mapping[int, int], interval: str) -> Json:
    """The project's, with other ports (port of the file → port of now) and another interval."""
    config: Json = yaml.safe_load(CONFIGURATION.read_text())
    config["global"] = {"scrape_interval": interval, "scrape_timeout": interval, "evaluation_interval": interval}
    config["rule_files"] = [str(CONFIGURATION.parent / file) for file in config["rule_files"]]
    for job in config["scrape_configs"]:
        for targets in job["static_configs"]:
            there = [target.rpartition(":") for target in targets["targets"]]
            targets["targets"] = [f"{host}:{ports[int(port)]}" for host, _, port in there]
    return config


@dataclass(frozen=True)
class Prometheus:
    """One that runs; `url` is its address."""

    url: str

    async def ask(self, what: str, **parameters: str) -> Any:
        """The data of an answer of its HTTP API. Errors: AssertionError with what it says."""
        async with (
            aiohttp.ClientSession(trust_env=False) as session,
            session.get(f"{self.url}/api/v1/{what}", params=parameters) as answer,
        ):
            said = await answer.json()
        assert said["status"] == "success", f"{what} {parameters}: {said}"
        return said["data"]

    async def up(self) -> dict[str, bool]:
        """Job → whether its last scrape went well."""
        targets = (await self.ask("targets"))["activeTargets"]
        return {target["labels"]["job"]: target["health"] == "up" for target in targets}

    async def values(self, query: str, start: float, end: float) -> dict[str, list[float]]:
        """Labels → the finite values between two times (seconds since 1970), every second."""
        times = {"start": f"{start:.3f}", "end": f"{end:.3f}", "step": "1"}
        found = {}
        for series in (await self.ask("query_range", query=query, **times))["result"]:
            labels = ",".join(f"{name}={value}" for name, value in sorted(series["metric"].items()))
            found[labels] = [number for _, said in series["values"] if math.isfinite(number := float(said))]
        return {labels: numbers for labels, numbers in found.items() if numbers}


def _written(directory: Path, config: Json) -> Path:
    directory.mkdir(exist_ok=True)
    file = directory / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    return file


@asynccontextmanager
async def prometheus(directory: Path, ports: Mapping[int, int], *, interval: str = "1s") -> AsyncIterator[Prometheus]:
    """It runs while the context lasts, and keeps its data in `directory`."""
    file, port = _written(directory, configuration(ports, interval)), free_run(1)
    with (directory / "prometheus.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            tool("prometheus"),
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            stdout=log,
            stderr=log,
        )
    try:
        yield Prometheus(f"http://127.0.0.1:{port}")
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)
