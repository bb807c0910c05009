"""Metrics of training."""
