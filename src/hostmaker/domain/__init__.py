"""Names the things, as frozen values. Imports nothing but kit's JSON type."""
