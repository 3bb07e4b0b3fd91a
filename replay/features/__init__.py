"""Features of a whole tape: as a frame of columns, and what is wrong with them."""
