"""What programs use: a connection to a sender, deliveries, watches."""
