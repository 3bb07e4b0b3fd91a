"""The deterministic core: a vocabulary of messages, the runtime that delivers them, and the actors."""
