"""History from a venue into the catalogue, page by page, going on where it broke off."""
