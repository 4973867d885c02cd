"""The HTTP server: bounded, with TLS and passwords where wanted."""
