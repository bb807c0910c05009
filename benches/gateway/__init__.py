"""CPU time of the gateway for one invocation, against HAProxy in the same place."""
