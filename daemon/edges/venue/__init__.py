"""The real venue: one client, its private stream, what is sent to it and asked of it."""
