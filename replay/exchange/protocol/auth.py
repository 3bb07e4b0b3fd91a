"""Who may trade: the key, the signature and the age of a request, refused in Binance's words."""

from __future__ import annotations

import hashlib
import hmac
import random
from typing import TYPE_CHECKING

import msgspec

from replay.exchange.model import VenueError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_RECV_WINDOW_MS = 5_000
_RECV_WINDOW_MS_MAX = 60_000
_AHEAD_MS_MAX = 1_000
_KEY_CHARS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_KEY_LENGTH = 64
_UNAUTHORIZED = 401


class Keys(msgspec.Struct, frozen=True):
    """A key and its secret."""

    key: str
    secret: str


def draw_keys(seed: int) -> Keys:
    """Return the demo key and secret of a seed: they open nothing but this exchange."""
    draw = random.Random(f"pitboss exchange keys {seed}")  # noqa: S311 - the demo keys are no secret
    key, secret = ("".join(draw.choices(_KEY_CHARS, k=_KEY_LENGTH)) for _ in range(2))
    return Keys(key, secret)


class Doorkeeper:
    """Checks signed requests.

    Args:
        keys: the only key there is.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys

    def check_key(self, key: str | None) -> None:
        """Let in who has the key.

        Raises:
            VenueError: -2014 for what is no key, -2015 for another key.
        """
        if not key or len(key) != _KEY_LENGTH or not key.isalnum():
            raise VenueError(-2014, "API-key format invalid.", _UNAUTHORIZED)
        if not hmac.compare_digest(key, self._keys.key):
            raise VenueError(-2015, "Invalid API-key, IP, or permissions for action.", _UNAUTHORIZED)

    def check_signature(self, payload: str, signature: str | None) -> None:
        """Let in who knows the secret.

        Raises:
            VenueError: -1102 without a signature, -1022 with another.
        """
        if not signature:
            raise VenueError(-1102, "Mandatory parameter 'signature' was not sent, was empty/null, or malformed.")
        expected = hmac.new(self._keys.secret.encode(), payload.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected.encode(), signature.lower().encode()):
            raise VenueError(-1022, "Signature for this request is not valid.")

    @staticmethod
    def check_time(timestamp: str | None, recv_window: str | None, clocks_ms: Sequence[int]) -> None:
        """Let in what was sent lately by any of the clocks.

        Raises:
            VenueError: -1102, -1131 for what cannot be read, -1021 for too old or from the future.
        """
        window_ms = _RECV_WINDOW_MS if recv_window is None else _window(recv_window)
        if timestamp is None or not timestamp.isascii() or not timestamp.isdigit():
            raise VenueError(-1102, "Mandatory parameter 'timestamp' was not sent, was empty/null, or malformed.")
        ages_ms = [clock_ms - int(timestamp) for clock_ms in clocks_ms]
        if any(-_AHEAD_MS_MAX < age_ms <= window_ms for age_ms in ages_ms):
            return
        if all(age_ms <= -_AHEAD_MS_MAX for age_ms in ages_ms):
            raise VenueError(-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
        raise VenueError(-1021, "Timestamp for this request is outside of the recvWindow.")


def _window(text: str) -> int:
    try:
        window_ms = float(text)
    except ValueError:
        window_ms = -1.0
    if not 0 < window_ms <= _RECV_WINDOW_MS_MAX:
        message = f"Invalid 'recvWindow'; must be greater than 0 and not greater than {_RECV_WINDOW_MS_MAX}."
        raise VenueError(-1131, message)
    return int(window_ms)


def split_signature(text: str) -> tuple[str, str | None]:
    """Return a query or form without its signature, and the signature."""
    parts = text.split("&") if text else []
    signature = next((part[len("signature=") :] for part in parts if part.startswith("signature=")), None)
    return "&".join(part for part in parts if not part.startswith("signature=")), signature


def socket_payload(params: Mapping[str, str]) -> str:
    """Return what a WebSocket API request signs: its parameters in the order of their names."""
    return "&".join(f"{name}={params[name]}" for name in sorted(params) if name != "signature")
