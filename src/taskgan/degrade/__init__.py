"""What makes a clean photo a degraded one: linear operators with their adjoints, noise, compression."""
