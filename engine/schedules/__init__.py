"""Schedules: when masks change, and how far. One idea a file."""
