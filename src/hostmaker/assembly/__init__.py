"""Reads settings once and joins concrete rooms: one entry point a role."""
