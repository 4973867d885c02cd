"""Simulated meters, for tests, demonstrations and people without a meter."""
