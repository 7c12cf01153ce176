"""What readers give: how a pledge is made, paid, listed and exported."""
