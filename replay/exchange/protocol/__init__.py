"""Binance's spot protocol as a client sees it: addresses, signatures, limits, JSON, sockets."""
