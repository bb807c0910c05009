"""The large numbers: seeds and crash points in virtual time, and real processes killed under load."""
