"""The control endpoint: status and commands over HTTP."""
