"""`python -m sendledger_schemas.generate [--check]`: the documents that are made of the models, into `schemas/`.

JSON Schema (draft 2020-12) of each event and record under `json/`, `asyncapi.yaml` (AsyncAPI 3), the topic table in
ARCHITECTURE.md, and the dictionary of the analysts' tables in docs/exports.md. `--check` writes nothing and exits 1 if
a document on disk is stale. Needs PyYAML (development only).
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from pydantic import BaseModel

from sendledger_schemas.envelope import Event
from sendledger_schemas.fields import EventData, JsonObject
from sendledger_schemas.registry import MODELS
from sendledger_schemas.states import CampaignPartial, CampaignState, EndedSession, MessageState
from sendledger_schemas.tables import TABLES, columns
from sendledger_schemas.topics import TOPICS, Topic

SCHEMAS = Path(__file__).resolve().parent.parent
ARCHITECTURE = SCHEMAS.parent / "ARCHITECTURE.md"
EXPORTS = SCHEMAS.parent / "docs" / "exports.md"
TOPIC_MARKS = ("<!-- topics: generated -->", "<!-- /topics -->")
COLUMN_MARKS = ("<!-- columns: generated -->", "<!-- /columns -->")
DIALECT = "https://json-schema.org/draft/2020-12/schema"
RECORDS: dict[str, type[EventData]] = {
    "sms.message-state.v1": MessageState,
    "sms.campaign-partials.v1": CampaignPartial,
    "sms.campaign-state.v1": CampaignState,
    "sms.sessions.v1": EndedSession,
}


def _schema(model: type[BaseModel], title: str) -> JsonObject:
    return {"$schema": DIALECT, "title": title, **model.model_json_schema(by_alias=True, mode="serialization")}


def event_schema(model: type[EventData], type_name: str) -> JsonObject:
    """One event on the log: the envelope with its `type` fixed and its `data` spelled out."""
    envelope = Event.model_json_schema(by_alias=True, mode="serialization")
    properties = {name: field for name, field in envelope["properties"].items() if name not in ("type", "data")}
    data = model.model_json_schema(by_alias=True, mode="serialization")
    definitions = data.pop("$defs", {})
    return {
        "$schema": DIALECT,
        "title": type_name,
        "description": model.__doc__,
        "type": "object",
        "required": ["specversion", "id", "type", "source", "time", "data"],
        "properties": {**properties, "type": {"const": type_name}, "data": data},
        **({"$defs": definitions} if definitions else {}),
    }


def _message(topic: Topic) -> JsonObject:
    if topic.name in RECORDS:
        return {topic.name: {"contentType": "application/json", "payload": {"$ref": f"./json/{topic.name}.json"}}}
    return {
        event.TYPE: {
            "contentType": "application/cloudevents+json",
            "payload": {"$ref": f"./json/{event.TYPE}.json"},
        }
        for event in topic.events
    }


def asyncapi() -> JsonObject:
    """All topics as AsyncAPI channels, with their writers as `send` operations."""
    channels = {
        topic.name: {
            "address": topic.name,
            "description": f"Key: {topic.key}. Cleanup: {topic.cleanup}. Written by: {', '.join(topic.writers)}."
            + (" Holds personal data." if topic.personal else ""),
            "messages": _message(topic),
            "bindings": {"kafka": {"topic": topic.name, "topicConfiguration": {"cleanup.policy": [topic.cleanup]}}},
        }
        for topic in TOPICS.values()
    }
    operations = {
        f"{writer}-writes-{topic.name}": {"action": "send", "channel": {"$ref": f"#/channels/{topic.name}"}}
        for topic in TOPICS.values()
        for writer in topic.writers
    }
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Sendledger", "version": "1", "description": "Every SMS of a campaign, as events."},
        "defaultContentType": "application/cloudevents+json",
        "channels": channels,
        "operations": operations,
    }


def topic_table() -> str:
    """The registry as a table: topic, key, cleanup, events, writers."""
    rows = ["| topic | key | cleanup | events | written by |", "|---|---|---|---|---|"]
    for topic in TOPICS.values():
        events = ", ".join(event.__name__ for event in topic.events) or RECORDS[topic.name].__name__
        personal = " (personal data)" if topic.personal else ""
        rows.append(
            f"| `{topic.name}`{personal} | {topic.key} | {topic.cleanup} | {events} | {', '.join(topic.writers)} |"
        )
    return "\n".join(rows)


def dictionary() -> str:
    """Every column of the analysts' tables: name, type, whether it may be empty, and what it means."""
    parts = []
    for table, model in TABLES.items():
        rows = [
            f"| `{column.name}` | {column.kind}{', may be empty' if column.optional else ''} | {column.description} |"
            for column in columns(table)
        ]
        parts += [f"### `{table}`", "", model.__doc__ or "", "", "| column | type | what |", "|---|---|---|", *rows, ""]
    return "\n".join(parts)


def _marked(path: Path, marks: tuple[str, str], made: str) -> str:
    """A document with what stands between its two marks made anew."""
    before, rest = path.read_text().split(marks[0], 1)
    _, after = rest.split(marks[1], 1)
    return f"{before}{marks[0]}\n{made}\n{marks[1]}{after}"


def documents() -> dict[Path, str]:
    """Each generated document: path → text."""
    found = {SCHEMAS / "json" / f"{m.TYPE}.json": _json(event_schema(m, m.TYPE)) for m in MODELS}
    found |= {SCHEMAS / "json" / f"{name}.json": _json(_schema(model, name)) for name, model in RECORDS.items()}
    head = "# Generated by `python -m sendledger_schemas.generate`; do not edit.\n"
    found[SCHEMAS / "asyncapi.yaml"] = head + yaml.safe_dump(asyncapi(), sort_keys=False, width=120)
    found[ARCHITECTURE] = _marked(ARCHITECTURE, TOPIC_MARKS, topic_table())
    found[EXPORTS] = _marked(EXPORTS, COLUMN_MARKS, dictionary())
    return found


def _json(schema: JsonObject) -> str:
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def stale() -> list[Path]:
    """Documents on disk that differ from what the models say, or that no model stands for."""
    wanted = documents()
    differing = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    return differing + [path for path in (SCHEMAS / "json").glob("*.json") if path not in wanted]


def main(arguments: list[str]) -> int:
    """Write the documents, or with `--check` say which are stale."""
    differing = stale()
    if "--check" in arguments:
        for path in differing:
            sys.stderr.write(
                f"stale: {path.relative_to(SCHEMAS.parent)}: run `python -m sendledger_schemas.generate`\n"
            )
        return 1 if differing else 0
    (SCHEMAS / "json").mkdir(exist_ok=True)
    for path, text in documents().items():
        path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
