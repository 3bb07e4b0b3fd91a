"""What can be declared, a module per family: each fills the table of kinds and has a maker per kind."""
