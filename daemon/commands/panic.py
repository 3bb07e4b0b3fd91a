"""`pitboss panic`: flattens an account without the daemon."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import msgspec

from actors.instrument import InstrumentSpec
from actors.runtime.journal import FILE_NAME
from config.errors import UserError
from config.schema import Exchange as ExchangeSettings
from config.secrets import gaps_in
from daemon.commands.inputs import settings_from
from daemon.edges.venue.client import connect
from daemon.edges.venue.errors import RequestError
from daemon.edges.venue.reports import OffGridError, UnknownFeeError, exact
from daemon.log import configure_logging
from daemon.panic import Books, Deed, Flattener, Look, lived_s_ago, read_books, window_s
from daemon.state_dir import StateLock, default_state_dir

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from daemon.edges.venue.client import VenueClient

EXIT_FAULT = 1
_PATIENCE_S = 180.0
_FAILURES = (UserError, RequestError, OffGridError, UnknownFeeError, TimeoutError)


class Report(msgspec.Struct, kw_only=True):
    """What was found, done, and found again."""

    venue: str
    flat: bool
    deeds: list[Deed]
    left: list[str]
    notes: list[str]


def panic_command(
    state_dir: Path | None,
    config: Path | None,
    setting: Sequence[str] | None,
    *,
    everything: bool,
    yes: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Cancel our orders, sell our positions, look again; exit 0 only if nothing of ours is left.

    Raises:
        UserError: a daemon has the state directory, the venue cannot be reached, or nobody said yes.
    """
    configure_logging(settings_from(config, setting, None, None).log)
    folder = (state_dir or default_state_dir()).absolute()
    with contextlib.ExitStack() as stack:
        _lock(stack, folder, force=force)
        lived_s = lived_s_ago(folder)
        books, notes = _books(folder, everything=everything)
        exchange = _exchange(config, setting, books)
        arriving_s = max(0.0, window_s(exchange) - lived_s)
        report = anyio.run(_panic, exchange, books, notes, everything, yes, arriving_s)
    if as_json:
        sys.stdout.write(msgspec.json.encode(report).decode() + "\n")
    else:
        _print(report)
    if not report.flat:
        raise SystemExit(EXIT_FAULT)


def _lock(stack: contextlib.ExitStack, folder: Path, *, force: bool) -> None:
    """Keep daemons from the state directory; one that has it would trade on.

    Raises:
        UserError: one has it.
    """
    if not folder.is_dir():
        return
    try:
        stack.enter_context(StateLock(folder))
    except UserError as error:
        if not force:
            message = f"{error}; it would trade on: use pitboss ctl flatten, or end it first, or add --force"
            raise UserError(message) from error
    except OSError as error:
        message = f"state directory {folder}: {error.strerror}"
        raise UserError(message) from error


def _books(folder: Path, *, everything: bool) -> tuple[Books | None, list[str]]:
    """Return what the journal says, and what is to be said about that."""
    path = folder / FILE_NAME
    hint = "which positions are ours is not known; --all sells all there is of the traded assets"
    try:
        books = read_books(path)
    except UserError as error:
        return None, [f"{error}; {hint}"]
    if books is None and not everything:
        return None, [f"{path} knows of no real trading: {hint}"]
    return books, []


def _exchange(config: Path | None, setting: Sequence[str] | None, books: Books | None) -> ExchangeSettings:
    """Return the venue that was asked for, or else that of the journal's session.

    Raises:
        UserError: the journal does not have all that it takes to get there.
    """
    asked = settings_from(config, setting, None, None).exchange
    named = config is not None or any(text.strip().startswith("exchange.") for text in setting or ())
    if books is None or named or asked != settings_from(None, None, None, None).exchange:
        return asked
    known = books.exchange
    for name in (*gaps_in(known.urls, "exchange.urls"), *gaps_in(known.options, "exchange.options")):
        message = f"{name} is a secret, which the journal leaves out: give the daemon's own --config"
        raise UserError(message)
    return known


async def _panic(
    exchange: ExchangeSettings,
    books: Books | None,
    notes: list[str],
    everything: bool,  # noqa: FBT001 - anyio.run hands over no keywords
    yes: bool,  # noqa: FBT001 - likewise
    arriving_s: float,
) -> Report:
    client = await connect(exchange, needs_keys=True, symbols=())
    try:
        specs, unknown = _instruments(client, [*(books.symbols if books else ()), *exchange.symbols])
        flattener = Flattener(client, specs, books, exchange, everything=everything, arriving_s=arriving_s)
        trouble = [*unknown]
        try:
            with anyio.fail_after(_PATIENCE_S):
                look = await flattener.look()
        except _FAILURES as error:
            message = f"{exchange.id}: {_words(error)}"
            raise UserError(message) from error
        if not look.flat and not yes:
            await _ask(exchange, books, look)
        try:
            with anyio.fail_after(_PATIENCE_S):
                await flattener.flatten()
        except _FAILURES as error:
            trouble.append(_words(error))
    finally:
        await client.close()
    if books is not None and any(deed.action in ("sell", "buy") for deed in flattener.deeds):
        notes.append(
            f"session {books.session} books these trades when it next looks, and is halted until it is resumed"
            if books.is_open
            else f"session {books.session} was stopped and does not know of these trades: the next one would halt on"
            " the difference; begin anew with another --state-dir"
        )
    known = books is not None or everything
    look = flattener.seen
    return Report(
        venue=exchange.id,
        flat=look.flat and known and not trouble,
        deeds=flattener.deeds,
        left=[*_describe(look), *trouble],
        notes=[*notes, *look.notes],
    )


def _words(error: BaseException) -> str:
    if isinstance(error, RequestError):
        return error.reason
    return str(error) or f"not done within {_PATIENCE_S:g} s"


def _instruments(client: VenueClient, symbols: Sequence[str]) -> tuple[list[InstrumentSpec], list[str]]:
    """Return the instruments the venue has, and what it says of those it has not."""
    specs: list[InstrumentSpec] = []
    unknown: list[str] = []
    for symbol in dict.fromkeys(symbols):
        try:
            specs += client.instruments([symbol]).values()
        except UserError as error:
            unknown.append(str(error))
    return specs, unknown


def _describe(look: Look) -> list[str]:
    orders = [
        f"{each.symbol}: order {each.order_id or each.venue_order_id}, {each.terms}{'' if each.ours else ' (not ours)'}"
        for each in look.orders
    ]
    return orders + [f"{each.symbol}: position of {exact(each.quantity)} {each.asset}" for each in look.positions]


async def _ask(exchange: ExchangeSettings, books: Books | None, look: Look) -> None:
    """Have a person confirm what is about to happen.

    Raises:
        UserError: nobody did.
    """
    where = f"{exchange.id} ({exchange.file})" if exchange.file else exchange.id
    of = "" if books is None else f", session {books.session}"
    sys.stderr.write(f"At {where}{of}, to be cancelled and closed at market:\n")
    sys.stderr.writelines(f"  {line}\n" for line in _describe(look))
    sys.stderr.write("Type yes to go on: ")
    sys.stderr.flush()
    answer = await anyio.to_thread.run_sync(sys.stdin.readline, abandon_on_cancel=True)  # so that Ctrl-C is heard
    if answer.strip().lower() not in ("yes", "y"):
        sys.stderr.write("\n" if not answer else "")
        message = "not confirmed, nothing was done; --yes confirms beforehand"
        raise UserError(message)


def _print(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(emoji=False)
    if report.deeds:
        table = Table(title=f"pitboss panic at {report.venue}", title_justify="left")
        for heading in ("action", "symbol", "what", "outcome"):
            table.add_column(heading, overflow="fold")
        for deed in report.deeds:
            table.add_row(deed.action, deed.symbol, deed.what, deed.outcome)
        console.print(table)
    for note in report.notes:
        console.print(f"note: {note}", markup=False, soft_wrap=True)
    for line in report.left:
        console.print(f"left: {line}", markup=False, soft_wrap=True)
    if report.flat:
        console.print("A second look shows nothing left to do: flat.")
    else:
        console.print("NOT flat, as far as can be told.")
