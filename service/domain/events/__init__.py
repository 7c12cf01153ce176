"""What a gateway tells us: kept as it came, applied once, and compared with what the gateway says of itself."""
