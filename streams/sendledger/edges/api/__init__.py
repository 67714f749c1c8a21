"""The HTTP API (DESIGN §8): OpenAPI 3.1, problem+json, bearer tokens with scopes, cursors."""

from __future__ import annotations

from sendledger.edges.api.server import serve

__all__ = ["serve"]
