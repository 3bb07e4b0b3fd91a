"""The state directory: whose it is, its token, and files that are whole or untouched."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import Any

import pytest

from config.errors import UserError
from daemon.state_dir import StateLock, default_state_dir, load_token, prepare_state_dir, write_atomically


@pytest.fixture(autouse=True)
def ambient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run outside of any service manager."""
    for name in ("CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- directory and lock -----------------------------------------------------------------------------


def test_the_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = prepare_state_dir(tmp_path / "a" / "b")

    assert mode(folder) == 0o700
    assert list(folder.iterdir()) == []


def test_the_service_managers_directory_comes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STATE_DIRECTORY", "/var/lib/pitboss:/var/lib/other")

    assert default_state_dir() == Path("/var/lib/pitboss")


def test_a_directory_has_one_owner_at_a_time(tmp_path: Path) -> None:
    reason = rf"in use by another daemon \(process {os.getpid()}\)"
    with StateLock(tmp_path), pytest.raises(UserError, match=reason), StateLock(tmp_path):
        pass

    with StateLock(tmp_path):
        assert (tmp_path / "daemon.lock").read_text() == f"{os.getpid()}\n"


def test_a_lock_that_was_refused_names_the_owner_still(tmp_path: Path) -> None:
    with StateLock(tmp_path):
        for _ in range(2):
            with pytest.raises(UserError, match=f"process {os.getpid()}"), StateLock(tmp_path):
                pass


# --- token ------------------------------------------------------------------------------------------


def test_a_token_is_made_once_and_kept_private(tmp_path: Path) -> None:
    token, path = load_token(tmp_path)
    path.chmod(0o666)

    assert load_token(tmp_path) == (token, path)
    assert (len(token) >= 40, token.isascii(), mode(path)) == (True, True, 0o600)
    assert [entry.name for entry in tmp_path.iterdir()] == ["control.token"]


def test_two_directories_have_two_tokens(tmp_path: Path) -> None:
    folders = [prepare_state_dir(tmp_path / name) for name in "ab"]

    assert len({load_token(folder)[0] for folder in folders}) == 2


def test_an_empty_token_file_of_a_crash_is_written_anew(tmp_path: Path) -> None:
    (tmp_path / "control.token").touch()

    assert len(load_token(tmp_path)[0]) >= 40


def test_the_service_managers_credential_is_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "pitboss-token").write_text("from-the-manager\n")
    (credentials / "pitboss-token").chmod(0o400)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))

    assert load_token(tmp_path) == ("from-the-manager", credentials / "pitboss-token")
    assert not (tmp_path / "control.token").exists()
    assert mode(credentials / "pitboss-token") == 0o400


def test_credentials_of_other_things_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "none"))

    assert load_token(tmp_path)[1] == tmp_path / "control.token"


@pytest.mark.parametrize(("content", "reason"), [(b" \n", "is empty"), ("clé".encode(), "ascii")])
def test_a_token_that_is_none_is_refused(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "control.token").write_bytes(content)

    with pytest.raises(UserError, match=rf"token file {tmp_path}/control.token: .*{reason}"):
        load_token(tmp_path)


# --- files ------------------------------------------------------------------------------------------


def test_a_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o644)

    write_atomically(path, b"new" * 100_000, mode=0o640)

    assert path.read_bytes() == b"new" * 100_000
    assert mode(path) == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_bytes_that_are_taken_in_parts_are_written_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, bytes(data)[:7]))

    write_atomically(tmp_path / "file", bytes(range(256)))

    assert (tmp_path / "file").read_bytes() == bytes(range(256))


@pytest.mark.parametrize("step", ["write", "fsync", "fchmod"])
def test_a_disk_that_refuses_at_any_step_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def refuse(*_: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, refuse)
        with pytest.raises(OSError, match="No space left"):
            write_atomically(path, b"new")

    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_content_is_synced_before_it_gets_its_name_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    seen: list[tuple[bool, bool]] = []
    sync = os.fsync

    def record(fd: int) -> None:
        seen.append((stat.S_ISDIR(os.fstat(fd).st_mode), path.exists()))
        sync(fd)

    monkeypatch.setattr(os, "fsync", record)

    write_atomically(path, b"new")

    assert seen == [(False, False), (True, True)]
