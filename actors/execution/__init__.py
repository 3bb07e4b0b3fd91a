"""Execution: the life of an order, and the venue it lives at."""
