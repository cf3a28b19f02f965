"""What requests and answers look like: pydantic models, from which the OpenAPI document is made.

Models of requests refuse fields they do not know; models of answers may grow.
"""
