"""The rules of stock: blocks, single numbers, holds, imports. Pure: standard library and messages."""
