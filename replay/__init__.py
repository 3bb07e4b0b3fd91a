"""Tapes and simulated time: a backtest is a replay of a tape through the live actors."""
