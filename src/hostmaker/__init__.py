"""Hostmaker: a self-hosted SageMaker Hosting."""
