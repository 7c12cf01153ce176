"""The web process: rules, tables, outside connections, and the doors in front of them."""

__version__ = "0.1.0"
