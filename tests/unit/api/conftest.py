"""An API without Kafka: its view is filled by hand, and its clients are never started."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from fastapi import FastAPI

from sendledger.config import KafkaSettings, Settings
from sendledger.edges.api.app import application
from sendledger.edges.api.auth import Tokens
from sendledger.edges.api.desk import Desk
from sendledger.edges.api.pasts import Pasts
from sendledger.edges.intake import Intake, Terms
from sendledger.edges.kafka import consumer, producer
from sendledger.edges.message_index import MessageIndex
from sendledger.edges.orders import Orders
from sendledger.edges.under_way import watching
from sendledger.edges.view import View, tails
from sendledger.life import Life
from tests.support.api import TOKENS
from tests.support.pasts import Folds
from tests.unit.api.filled import Filled

NOWHERE = KafkaSettings(bootstrap_servers="127.0.0.1:1")
PEPPER = b"a pepper"


@dataclass(frozen=True)
class Bench:
    """An application and what stands behind it."""

    app: FastAPI
    desk: Desk
    folds: Folds


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """An application that is ready, with an empty view."""
    index = MessageIndex(tmp_path / "view.sqlite3")
    view, life, writer = View(index), Life(), producer(NOWHERE)
    readers = consumer(NOWHERE, group_id=None), consumer(NOWHERE, group_id=None)
    quick, _ = tails(view, *readers, partitions=8)

    folds = Folds()

    async def nobody() -> list[str]:
        return []

    desk = Desk(
        view=view,
        quick=quick,
        intake=Intake(writer, view.campaigns, quick.reached, Terms(PEPPER, 8, expiry=timedelta(days=7))),
        orders=Orders(writer, pepper=PEPPER, partitions=8),
        kafka=NOWHERE,
        region=None,
        life=life,
        roles_behind=nobody,
        pasts=Pasts(folds),
        watching=lambda: watching(Settings(kafka=NOWHERE)),
    )
    life.ready.set()
    yield Bench(application(desk, Tokens((each.scope, each.token.get_secret_value()) for each in TOKENS)), desk, folds)
    await desk.pasts.close()
    index.close()
    for client in (writer, *readers):
        await client.stop()


@pytest.fixture
def filled(bench: Bench) -> Filled:
    """A bench to write on."""
    return Filled(bench)
