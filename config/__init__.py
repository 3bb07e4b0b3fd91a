"""Every setting pitboss has: its type, its unit, its bound, and where it came from."""
