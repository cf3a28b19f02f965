"""The rules of porting. Pure: standard library, phonenumbers and messages."""
