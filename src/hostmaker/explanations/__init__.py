"""Explains invocations: asks models through the gateways' private sockets, and answers the gateway that asked."""
