"""For those who run a sender: metrics, health, systemd."""
