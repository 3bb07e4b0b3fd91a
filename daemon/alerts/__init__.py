"""Alerts: what people want to be told wherever they are, through apprise."""
