"""How often what goes wrong, where everything does at once: names and rates of the loopback exchange's faults."""

from __future__ import annotations

from typing import Any

_OF_ALL: dict[str, Any] = {
    "request_lost": 0.05,
    "reply_lost": 0.05,
    "reply_empty": 0.05,
    "status_unknown": 0.05,
    "maintenance": 0.03,
    "event_before_reply": {"rate": 0.1, "seconds": 0.05},
    "reply_before_event": {"rate": 0.1, "seconds": 0.05},
    "close": {"rate": 0.02, "on": "user"},
    "duplicate": {"rate": 0.05, "on": "user"},
    "message_lost": {"rate": 0.05, "on": "user"},
}
_LATENCY = {"latency": {"rate": 0.1, "seconds": 0.05}}
OF_CONTRACTS = _OF_ALL | {
    "reply_broken": 0.05,
    "bad_gateway": 0.03,
    "order_rejected": 0.03,
    "partial_fill": 0.3,
    "abort": {"rate": 0.02, "on": "user"},
    "truncated_frame": {"rate": 0.02, "on": "user"},
    "out_of_order": {"rate": 0.05, "on": "user"},
}
OF_SPOT = (
    OF_CONTRACTS
    | _LATENCY
    | {
        "reset": {"rate": 0.02, "on": "user"},
        "user_stream_terminated": {"rate": 0.01, "on": "user"},
    }
)
OF_AMENDS = _OF_ALL | _LATENCY | {"reply_broken": 0.03, "order_rejected": 0.05, "partial_fill": 0.4}
