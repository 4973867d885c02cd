"""The wire between meter and computer: ports, and the record of what became of every byte."""
