"""Who else says who somebody is: providers of OpenID Connect, issuers of identity tokens, and how they are checked.

`settings` is what the operator names, `issuer` asks an issuer for its addresses and keys, `tokens` checks what it
signed, `provider` signs people in, `machines` finds the service account of an identity token.
"""
