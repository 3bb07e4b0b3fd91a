"""The desk: what a strategy gives its orders at, and what it is told of its markets there."""
