"""The rules of orders and tenures. Pure: standard library and messages."""
