"""Answers the management API, and is the only writer of what is desired."""
