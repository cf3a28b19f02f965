"""The rules of stock: blocks, single numbers, holds, imports. Pure: only messages."""
