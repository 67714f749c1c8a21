"""The demo's side of the HTTP API and of the simulator's status: nothing of the program is looked at from inside."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp

from sendledger.demo.scenario import Campaign

_PATIENCE = aiohttp.ClientTimeout(total=60)
_PAGE = 1000
_COLUMNS = ("to", "text", "operator_id")

Json = dict[str, Any]


class ApiError(Exception):
    """The API did not do what the demo asked; the message names the route and the status."""


@dataclass(frozen=True)
class Submitted:
    """What the API answered to a campaign's list."""

    batch: str
    accepted: int
    refused: tuple[Json, ...]


class Client:
    """Calls one API and one simulator."""

    def __init__(self, session: aiohttp.ClientSession, *, api: str, token: str, simulator: str) -> None:
        self._session = session
        self._api = api
        self._headers = {"Authorization": f"Bearer {token}"}
        self._simulator = simulator

    async def submit_json(self, campaign: Campaign, *, key: str) -> Submitted:
        """Hand in a campaign's list as JSON."""
        recipients = [{"to": r.to, "text": r.text, "operator_id": r.operator_id} for r in campaign.recipients]
        recipients += [{"to": to, "text": "never sent"} for to in campaign.unusable]
        body = {"sender": campaign.sender, "campaign_ref": campaign.campaign_ref, "recipients": recipients}
        return await self._submit(campaign, key, json=body)

    async def submit_csv(self, campaign: Campaign, *, key: str) -> Submitted:
        """Hand in a campaign's list as a CSV file."""
        form = aiohttp.FormData({"sender": campaign.sender, "campaign_ref": campaign.campaign_ref})
        form.add_field("file", csv_of(campaign), filename="people.csv", content_type="text/csv")
        return await self._submit(campaign, key, data=form)

    async def campaign(self, campaign_id: str) -> Json:
        """The numbers of a campaign."""
        return await self._get(f"/v1/campaigns/{campaign_id}")

    async def messages(self, campaign_id: str, bucket: str) -> AsyncIterator[Json]:
        """All messages of a campaign in one bucket."""
        parameters = {"bucket": bucket, "limit": str(_PAGE)}
        while True:
            page = await self._get(f"/v1/campaigns/{campaign_id}/messages", parameters)
            for message in page["items"]:
                yield message
            if not page.get("next_cursor"):
                return
            parameters["cursor"] = page["next_cursor"]

    async def simulator(self) -> Json:
        """The simulator's status."""
        async with self._session.get(f"{self._simulator}/status") as answer:
            status: Json = await answer.json()
            return status

    async def _submit(self, campaign: Campaign, key: str, **body: Any) -> Submitted:
        route = f"/v1/campaigns/{campaign.campaign_id}/messages"
        headers = {**self._headers, "Idempotency-Key": key}
        async with self._session.post(self._api + route, headers=headers, **body) as answer:
            if answer.status != 202:  # noqa: PLR2004 — HTTP's Accepted
                raise ApiError(f"POST {route}: {answer.status} {await answer.text()}")
            told = await answer.json()
        return Submitted(told["batch"], told["accepted"], tuple(told["refused"]))

    async def _get(self, route: str, parameters: dict[str, str] | None = None) -> Json:
        async with self._session.get(self._api + route, headers=self._headers, params=parameters) as answer:
            if answer.status != 200:  # noqa: PLR2004 — HTTP's OK
                raise ApiError(f"GET {route}: {answer.status}")
            found: Json = await answer.json(content_type=None)
            return found


def csv_of(campaign: Campaign) -> str:
    """The list as the CSV file that a user would upload."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    writer.writerows((r.to, r.text, r.operator_id) for r in campaign.recipients)
    writer.writerows((to, "never sent", "") for to in campaign.unusable)
    return file.getvalue()


@asynccontextmanager
async def client(*, api: str, token: str, simulator: str) -> AsyncIterator[Client]:
    """A client while the context lasts. Proxies of the environment are left alone: all of it is on this machine."""
    async with aiohttp.ClientSession(timeout=_PATIENCE, trust_env=False) as session:
        yield Client(session, api=api, token=token, simulator=simulator)
