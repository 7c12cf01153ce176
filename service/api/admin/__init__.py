"""The staff part of the API, under /v1/admin."""
