"""Publishes streams over MQTT."""
