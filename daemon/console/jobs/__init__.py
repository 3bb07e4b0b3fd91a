"""Backtests: asked for over the API, computed by processes of their own, kept in a database of their own."""
