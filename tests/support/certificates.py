"""A small certificate authority, made by openssl for one test run."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

KEY_PASSWORD = "canary-key-password-0123"


@dataclass(frozen=True)
class Certificates:
    """PEM files. `server` holds key and certificate together, as Kafka wants them; the client's key has a password."""

    ca: Path
    server: Path
    client_certificate: Path
    client_key: Path


def make(directory: Path) -> Certificates:
    """Make an authority, a server's certificate for localhost and 127.0.0.1, and a client's."""
    directory.mkdir(parents=True, exist_ok=True)
    ca, ca_key = directory / "ca.pem", directory / "ca.key"
    _openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test-authority", "-keyout", ca_key, "-out", ca)
    server_key, server = _signed(directory, "localhost", ca, ca_key)
    both = directory / "server-both.pem"
    both.write_text(server_key.read_text(encoding="utf-8") + server.read_text(encoding="utf-8"), encoding="utf-8")
    client_key, client = _signed(directory, "client", ca, ca_key)
    locked = directory / "client-locked.key"
    _openssl("pkcs8 -topk8 -passout", f"pass:{KEY_PASSWORD}", "-in", client_key, "-out", locked)
    return Certificates(ca, both, client, locked)


def unvouched(directory: Path) -> Path:
    """A server's key and certificate for 127.0.0.1 in one PEM file; no authority has signed it."""
    key, certificate, both = (directory / name for name in ("own.key", "own.pem", "own-both.pem"))
    made = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1"
    _openssl(made, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
    both.write_text(key.read_text(encoding="utf-8") + certificate.read_text(encoding="utf-8"), encoding="utf-8")
    return both


def _signed(directory: Path, name: str, ca: Path, ca_key: Path) -> tuple[Path, Path]:
    key, request, certificate = (directory / f"{name}.{end}" for end in ("key", "csr", "pem"))
    names = directory / f"{name}.ext"
    names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n", encoding="utf-8")
    _openssl("req -newkey rsa:2048 -nodes -subj", f"/CN={name}", "-keyout", key, "-out", request)
    authority = ("-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-extfile", names)
    _openssl("x509 -req -days 2", "-in", request, "-out", certificate, *authority)
    return key, certificate


def _openssl(verb: str, *arguments: object) -> None:
    subprocess.run(["openssl", *verb.split(), *map(str, arguments)], check=True, capture_output=True)
