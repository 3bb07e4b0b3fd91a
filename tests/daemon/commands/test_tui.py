"""What `pitboss tui` says to who asks it wrongly."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import UserError
from daemon.commands.tui import debug_command, tui_command

URL = "http://127.0.0.1:8787"


@pytest.mark.parametrize(
    "url", ["8787", "ftp://a", "http://", "http://a:x", "http://a/api/live", "http://me@a", "http://[a"]
)
def test_an_address_that_is_none_is_told_with_what_one_looks_like(url: str) -> None:
    with pytest.raises(UserError, match=r"must be like http://127\.0\.0\.1:8787"):
        tui_command(None, url, None, None)


@pytest.mark.parametrize("content", [b"", b"two words", b"\xff\xfe", b"a\nb"])
def test_a_file_without_a_token_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(UserError, match=f"--token-file {file}: not a token"):
        tui_command(None, URL, file, None)


def test_files_that_are_not_there_are_named(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with pytest.raises(UserError, match=f"--token-file {file}: No such file"):
        tui_command(None, URL, file, None)
    file.write_text("a-token")
    with pytest.raises(UserError, match=f"certificate {tmp_path / 'c.pem'}: No such file"):
        tui_command(None, "https://a", file, tmp_path / "c.pem")


def test_without_an_address_or_a_token_it_looks_for_the_local_daemon(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no daemon runs on"):
        tui_command(tmp_path, None, None, None)
    with pytest.raises(UserError, match="no daemon runs on"):
        tui_command(tmp_path, URL, None, None)


def test_a_replay_is_not_a_running_daemon(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--url names a running daemon, --replay begins a replay: one of the two"):
        debug_command(["bars.csv"], None, {}, {"state_dir": None, "url": URL})
    with pytest.raises(UserError, match="--set is for a replay: say which tape with --replay"):
        tui_command(tmp_path, None, None, None, {"strategy": None, "setting": ["account.cash=1"]})
    with pytest.raises(UserError, match="--from is for a replay: say which tape with --replay"):
        tui_command(tmp_path, None, None, None, {"strategy": None, "from": "2024-01-01"})
    with pytest.raises(UserError, match="--to yesterday: write a date or a time"):
        debug_command(["bars.csv"], None, {"from": None, "to": "yesterday"}, {})
