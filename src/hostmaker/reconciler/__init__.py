"""Looks, asks the planner, records, and tells node and gateways: the only writer of what is recorded of endpoints."""
