"""Carries invocations to instances and back; relays management to control, and S3 to the object store, untouched."""
