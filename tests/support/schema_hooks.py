"""Hooks of schemathesis: half of the made-up ids become ids that exist, so that more is tried than 404."""

from __future__ import annotations

from typing import Any

import schemathesis

CAMPAIGN = "spring"
ENDED = "winter"
"""Cancelled before: cancelling it once more looks for nothing in flight, which takes a second each time."""
DOUBTED = "m1"
SETTLED = "m2"


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """By the length of what was made up, so that a seed gives the same run."""
    if not path_parameters:
        return path_parameters
    path = context.operation.path
    made = dict(path_parameters)
    for name, value in path_parameters.items():
        odd = len(str(value)) % 2
        if name == "campaign_id" and (odd or path.endswith("/cancel")):
            made[name] = ENDED if path.endswith("/cancel") else CAMPAIGN
        elif name == "message_id" and odd:
            made[name] = SETTLED if len(str(value)) % 4 == 1 else DOUBTED
    return made
