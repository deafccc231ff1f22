"""``taskgan node``: a PACS node that restores what it receives and sends it back."""
