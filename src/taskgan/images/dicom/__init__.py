"""DICOM series as volumes."""
