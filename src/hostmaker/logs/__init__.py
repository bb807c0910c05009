"""Log files of instances: written by their processes, dated by the node, read as CloudWatch Logs."""
