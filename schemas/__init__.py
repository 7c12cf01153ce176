"""Schemas of requests, responses and campaign files, the shared enums, and the translated texts."""
