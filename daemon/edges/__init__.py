"""The async edges: everything that touches disk, network or the wall clock on the core's behalf."""
