"""Market data as inputs: live streams, what was missed of them, and tapes at the wall's pace."""
