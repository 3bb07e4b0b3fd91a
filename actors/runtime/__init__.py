"""What runs the actors: scheduler, timers, supervision, digest and the journal's format."""
