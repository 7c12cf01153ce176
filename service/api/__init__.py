"""The JSON API. A view loads the schema, opens one transaction, makes one domain call and renders the response."""
