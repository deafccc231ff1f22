"""DICOM series as volumes: sorted by position, scaled to the scanner's units, in world coordinates (RAS, mm)."""
