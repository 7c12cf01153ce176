"""The thin edge: load the schema, open one transaction, make one domain call, dump the answer."""
