"""How pitboss itself is measured: each module runs the real program and prints one JSON line."""
