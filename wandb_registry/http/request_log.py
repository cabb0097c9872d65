"""Logs as JSON lines, for machines to read: one a request, and one for each refusal and failure."""

import json
import logging
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

log = logging.getLogger("wandb_registry.requests")


class JSONLines(logging.Formatter):
    """A record as one line of JSON. `facts` of a record become keys of their own."""

    def __init__(self, worker: int | None = None):
        super().__init__()
        self._who = {"worker": worker} if worker else {}

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
            **self._who,
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


@dataclass(frozen=True)
class AnsweredRequest:
    """A request whose answer went out. Its query stays out: it may hold a signature or a one-time token."""

    method: str
    path: str  # below that of a public address
    status: int
    seconds: float
    client: str | None


def note(request: AnsweredRequest) -> None:
    """Logs a request."""
    log.info("request", extra={"facts": asdict(request) | {"seconds": round(request.seconds, 4)}})
