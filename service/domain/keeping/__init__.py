"""How long and under which key readers' data is kept."""
