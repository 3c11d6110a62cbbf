"""The API for programs: a connection to a sender, deliveries, watches."""
