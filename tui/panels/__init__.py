"""The parts of the screen, one widget a file; each reads a status and computes nothing."""
