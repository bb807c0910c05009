"""Tools that any program needs: clock, codec, links, atomic files. Standard library only."""
