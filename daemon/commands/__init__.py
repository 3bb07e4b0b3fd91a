"""What each command of the command line does, one module for each; imported only when it runs."""
