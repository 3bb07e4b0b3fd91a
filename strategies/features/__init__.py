"""Features at work: expressions of several strategies as one graph, evaluated once per bar.

`graph` evaluates, `rows` gives each strategy its values by name, `text` reads and writes the form in which a
configuration file states an expression.
"""
