"""The P1 protocol and nothing else: bytes in, events out. No I/O, no clock, no logging, standard library only."""
