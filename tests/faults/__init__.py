"""What happens when parts die. The judge is outside the system: the client's own ledger and the
payment sandbox's own book."""
