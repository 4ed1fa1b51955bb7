"""One reader per upstream format, each returning sections as `gest.sections` defines them."""
