"""What a model was made from, as a signed statement that others check without us: made, signed, opened, compared.

in-toto's statement with SLSA's provenance v1, in a DSSE envelope, in a Sigstore bundle. Asks no registry.
"""
