"""The process: command line, live driver, supervised edges, control endpoint."""
