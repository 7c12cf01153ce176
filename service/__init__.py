"""The service: domain rules, database, gateways, and the web, console and command-line edges."""

__version__ = "0.1.0"
