"""p1-exporter: a Prometheus exporter for the P1 port of smart meters, with a diagnosis of the line."""

__version__ = "0.1.0"
