"""From snapshots to the text that Prometheus reads."""
