"""The console: a process beside the daemon that serves everything heavy, and the core nothing but frames."""
