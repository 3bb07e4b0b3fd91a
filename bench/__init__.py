"""Benchmarks: pitboss beside the physical limit and beside its peers, measured in one run.

`run.py` is the one command. It only starts processes and prints; every figure is taken in a process
of its own, one at a time, so that no measure pays for the imports or the garbage of another.
"""
