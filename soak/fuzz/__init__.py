"""Mutated requests: bodies made from the service models, sent to a running server, and what it answers judged."""
