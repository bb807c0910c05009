"""Reaches the object store: SeaweedFS as it comes along, or any S3."""
