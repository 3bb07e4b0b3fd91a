"""Recorded rows on their way into the catalogue: whole, once, and by one recorder only, whatever dies in between."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from actors.instrument import InstrumentSpec
from actors.messages import Bar, Message, Trade
from config.errors import UserError
from replay.tape.catalogue import Catalogue, SeriesKey
from replay.tape.catalogue.recorded import Standing, standing
from replay.tape.catalogue.spool import Spool
from replay.tape.recording import Opened, Said, decode_said, encode_said

KEY = SeriesKey("feed", "binance", "BTC/USDT")
HOUR_NS = 3_600_000_000_000
START_NS = 1_700_000_000_000_000_000 // HOUR_NS * HOUR_NS
OPENED = Opened(
    "BTC/USDT",
    60_000_000_000,
    InstrumentSpec(symbol="BTC/USDT", tick=Decimal("0.01"), lot=Decimal("0.001")),
    ("bars", "trades"),
    True,
    START_NS,
    0,
)


@pytest.fixture
def catalogue(tmp_path: Path) -> Catalogue:
    return Catalogue(tmp_path / "data")


def trade(number: int) -> Trade:
    return Trade("BTC/USDT", number, 100.0, 1.0, 1, START_NS + number)


def append(spool: Spool, *said: Said, first: int = 0, step_ns: int = 1) -> None:
    for seq, each in enumerate(said, start=first):
        text = encode_said(each)
        assert text is not None
        spool.append(START_NS + seq * step_ns, seq, text)


def rows(catalogue: Catalogue) -> list[tuple[int, int, Said]]:
    frame = catalogue.scan(KEY).collect()
    return [(ts_ns, seq, decode_said(text)) for ts_ns, seq, text in frame.iter_rows()]


def lines_of(catalogue: Catalogue) -> Path:
    (path,) = catalogue.root.glob(".recording/*.lines")
    return path


def test_rows_are_handed_over_by_the_hour_and_once(catalogue: Catalogue) -> None:
    spool = Spool(catalogue, KEY)
    append(spool, OPENED, trade(1), trade(2), step_ns=HOUR_NS)
    spool.hand_over()
    append(spool, trade(3), first=3)
    spool.flush()
    assert lines_of(catalogue).read_bytes().count(b"\n") == 1, "on the disk, and not yet handed over"
    spool.hand_over()
    spool.hand_over()
    spool.close()
    assert [seq for _, seq, _ in rows(catalogue)] == [0, 3, 1, 2]
    manifest = catalogue.existing(KEY)
    assert [part.period for part in manifest.parts] == ["2023-11-14T22", "2023-11-14T23", "2023-11-15T00"]
    assert [(each.source, each.rows) for each in manifest.imports] == [("binance live", 4)], "one source is one entry"


@pytest.mark.parametrize("torn", [b"", b"17", b'1700000000000000007 7 ["Trade","BTC/', b"\0" * 40, b"what\n"])
def test_what_a_crash_left_is_handed_over_up_to_the_last_whole_line(catalogue: Catalogue, torn: bytes) -> None:
    dying = Spool(catalogue, KEY)
    append(dying, OPENED, trade(1), trade(2))
    dying.flush()
    append(dying, trade(3), first=3)
    dying.close()  # and with it what was not flushed
    with lines_of(catalogue).open("ab") as file:
        file.write(torn)
    spool = Spool(catalogue, KEY)
    assert spool.lost_bytes == len(torn)
    assert [seq for _, seq, _ in rows(catalogue)] == [0, 1, 2]
    assert lines_of(catalogue).read_bytes() == b""
    spool.close()


def test_a_crash_between_the_catalogue_and_the_file_doubles_nothing(catalogue: Catalogue, tmp_path: Path) -> None:
    """The catalogue has the rows, and the file they came from is there again, sealed or not."""
    spool = Spool(catalogue, KEY)
    append(spool, OPENED, trade(1))
    spool.flush()
    shutil.copy(lines_of(catalogue), tmp_path / "copy")
    spool.hand_over()
    spool.close()
    before = rows(catalogue)
    for name in ("binance~BTC-USDT.sealed", "binance~BTC-USDT.lines"):
        shutil.copy(tmp_path / "copy", catalogue.root / ".recording" / name)
        Spool(catalogue, KEY).close()
        assert rows(catalogue) == before
        assert not list(catalogue.root.glob(".recording/*.sealed"))


def test_one_process_records_a_series(catalogue: Catalogue) -> None:
    spool = Spool(catalogue, KEY)
    with pytest.raises(UserError, match="feed of binance:BTC/USDT: another process is recording it into"):
        Spool(catalogue, KEY)
    Spool(catalogue, SeriesKey("feed", "binance", "ETH/USDT")).close()
    spool.close()
    Spool(catalogue, KEY).close()


def test_a_disk_that_refuses_is_one_line_and_what_was_flushed_stays(
    catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(catalogue, KEY)
    append(spool, OPENED)
    spool.flush()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    append(spool, trade(1), first=1)
    with monkeypatch.context() as patched:
        patched.setattr("replay.tape.catalogue.spool.os.fsync", full)
        with pytest.raises(UserError, match="No space left on device"):
            spool.flush()
    spool.close()
    Spool(catalogue, KEY).close()
    assert rows(catalogue)[0] == (START_NS, 0, OPENED)


def test_a_recording_tells_where_it_stands(catalogue: Catalogue) -> None:
    assert standing(catalogue, KEY) == Standing()
    spool = Spool(catalogue, KEY)
    bar = Bar("BTC/USDT", 60_000_000_000, START_NS, START_NS + 60_000_000_000, 1.0, 1.0, 1.0, 1.0, 1.0)
    said: list[Message | Opened] = [OPENED, bar, trade(7), trade(8), trade(9)]
    append(spool, *said, step_ns=HOUR_NS)  # type: ignore[arg-type]
    spool.hand_over()
    spool.close()
    assert standing(catalogue, KEY) == Standing(START_NS + 4 * HOUR_NS, 4, bar.close_ns, 9, OPENED)
