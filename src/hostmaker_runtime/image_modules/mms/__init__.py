"""multi-model-server, for scripts."""
