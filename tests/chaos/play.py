"""A round from its plan to its verdict: provider, orders, senders, judge."""

from __future__ import annotations

from sendledger.config import Settings
from sendledger.edges.kafka import producer
from sendledger.edges.orders import Orders
from tests.chaos.done import Done
from tests.chaos.hands import Nursery
from tests.chaos.judge import Verdict, judge
from tests.chaos.plan import Plan
from tests.chaos.provider import provider
from tests.chaos.round import CALL, SESSION, Round
from tests.support.kafka import PEPPER
from tests.support.sender import sending


async def play(settings: Settings, plan: Plan, nursery: Nursery) -> Verdict:
    """A round on topics that are empty, and what is wrong with it. `settings`: with a data directory of the round's."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    done = Done(plan)
    async with provider(settings.data_dir, plan.seed + plan.number) as it, producer(settings.kafka) as out:
        orders = Orders(out, pepper=PEPPER.encode(), partitions=settings.partitions)
        over = {"provider_timeout": CALL, "session_timeout": SESSION, "sender_concurrency": 16}
        own = sending(settings, it.url, send_rate=plan.rate, **over)
        ours = await Round(own, plan, it, nursery, orders, done).run()
        return judge(done, ours, it)
