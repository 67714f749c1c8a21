"""The server's own last word about what is no HTTP at all: a problem document, like every other error."""

from __future__ import annotations

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from sendledger.edges.api.problems import Problem


class Protocol(HttpToolsProtocol):
    """uvicorn's protocol, but for its plain text when a request cannot be read."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 — the server's own words are for its log
        """Answer and close: nobody knows where a next request would begin."""
        answer = Problem(400, "bad-request", "this is no HTTP/1.1 request").answer()
        head = b"".join(b"%s: %s\r\n" % header for header in (*answer.raw_headers, (b"connection", b"close")))
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\n" + head + b"\r\n" + bytes(answer.body))
        self.transport.close()
