"""The rules of routing. Pure: standard library and messages."""
