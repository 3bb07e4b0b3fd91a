"""The console: speaks HTTP to the daemon and imports nothing of it."""
