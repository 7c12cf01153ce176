"""The schema's history, numbered; applied by `mainstay migrate`."""
