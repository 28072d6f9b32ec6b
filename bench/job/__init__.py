"""The bare loop of the whole job: what any program must do for a declaration, with nothing around it.

It is the limit that the product is measured against (`bench limit`), so it must never become slower. A test
holds it against a real run of the product, row by row and receipt by receipt.
"""
