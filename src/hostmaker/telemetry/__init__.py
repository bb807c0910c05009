"""Keeps series and judges alarms: CloudWatch, and the numbers of every endpoint. The only writer of `metrics.db`."""
