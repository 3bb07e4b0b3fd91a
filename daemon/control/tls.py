"""TLS where it is asked for: a certificate and its key, read again once they are replaced."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from config.errors import UserError

if TYPE_CHECKING:
    from config.schema import Http

REFRESH_S = 2.0
"""How often it is looked whether a certificate was replaced."""

log = structlog.get_logger()


class Certificate:
    """A certificate in use.

    Args:
        certificate: file of the certificate and its chain, PEM.
        key: file of its key, PEM, without a passphrase.

    Attributes:
        context: what a server wraps its connections in; TLS 1.2 at least.

    Raises:
        UserError: a file cannot be read, or the two do not belong together.
    """

    def __init__(self, certificate: Path, key: Path) -> None:
        self._files = (certificate, key)
        self._seen = self._signature()
        self.context = self._load()

    def refresh(self) -> bool:
        """Take over files that were replaced; return whether there were any. Bad ones leave the old in force."""
        seen = self._signature()
        if seen == self._seen:
            return False
        self._seen = seen
        try:
            self._load()  # tried apart: a context that refuses its key has lost its old certificate already
            self.context.load_cert_chain(*self._files)
        except (UserError, OSError) as error:
            log.warning("certificate_not_taken", reason=str(error))
            return False
        log.info("certificate_replaced", certificate_file=str(self._files[0]))
        return True

    def _load(self) -> ssl.SSLContext:
        certificate, key = self._files
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            context.load_cert_chain(certificate, key, password=_no_passphrase)
        except (OSError, ssl.SSLError, UserError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            message = f"http: certificate {certificate} with key {key}: {reason}"
            raise UserError(message) from error
        return context

    def _signature(self) -> tuple[tuple[int, int, int], ...]:
        found = []
        for path in self._files:
            try:
                stat = path.stat()
            except OSError:
                continue
            found.append((stat.st_mtime_ns, stat.st_ino, stat.st_size))
        return tuple(found)


def certificate_of(settings: Http) -> Certificate | None:
    """Return the configured certificate, if there is one.

    Raises:
        UserError: it cannot be used, or its key is not configured.
    """
    if settings.certificate is None and settings.key is None:
        return None
    if settings.certificate is None or settings.key is None:
        message = "http.certificate and http.key are given together or not at all"
        raise UserError(message)
    return Certificate(Path(settings.certificate), Path(settings.key))


def client_context(certificate: Path) -> ssl.SSLContext:
    """Return what a client on this machine trusts: this certificate and no other, by whatever name it is reached."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # the certificate itself is the anchor
    context.load_verify_locations(certificate)
    return context


def _no_passphrase() -> str:
    message = "the key has a passphrase, and nobody to ask for it"
    raise UserError(message)
