"""What every role tells of its process: which build it is, whether it is ready, what it uses."""

from __future__ import annotations

import platform
from importlib.metadata import version

from prometheus_client import Gauge, ProcessCollector, disable_created_metrics

from sendledger.life import Life
from sendledger_schemas.states import FOLD_VERSION


def tell_of_process(role: str, life: Life) -> None:
    """Register `sendledger_build_info`, `sendledger_role_ready` and the client's `process_…` in the role's registry."""
    # Else there is a series beside each counter that nobody reads, and whose name has no unit.
    disable_created_metrics()  # type: ignore[no-untyped-call]  # the client's own has no types
    labels = {
        "role": role,
        "version": version("sendledger"),
        "python": platform.python_version(),
        "fold_version": str(FOLD_VERSION),
    }
    info = Gauge("sendledger_build_info", "1; the labels say what runs", list(labels), registry=life.registry)
    info.labels(**labels).set(1)
    ready = Gauge("sendledger_role_ready", "1 while the role does its work", ["role"], registry=life.registry)
    ready.labels(role).set_function(lambda: float(life.ready.is_set() and not life.stop.is_set()))
    ProcessCollector(registry=life.registry)
