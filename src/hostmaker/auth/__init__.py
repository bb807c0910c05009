"""Who calls: keys, and the verification of AWS signatures version 4."""
