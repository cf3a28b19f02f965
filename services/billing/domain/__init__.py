"""The rules of billing: pure, one module per aggregate."""
