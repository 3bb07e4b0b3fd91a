"""A replay that goes on when it is told to: its tape or session, and what every input caused."""
