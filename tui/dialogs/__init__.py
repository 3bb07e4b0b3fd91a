"""What opens above the screen and wants an answer."""
