"""How many columns there are for counts of requests inside instances; so many instances a server can have at once."""

SLOTS = 4096
