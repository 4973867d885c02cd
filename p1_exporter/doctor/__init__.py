"""`p1-exporter doctor`: looks at the computer and at the line, and says what is wrong in plain words."""
