"""AWS protocols <-> plain values. In: bytes and headers of a verified request. Out: `Call`s, and answers as bytes.

Driven by the service models in `service_models/`, which `tools/cut_service_models.py` cuts from botocore's.
"""
