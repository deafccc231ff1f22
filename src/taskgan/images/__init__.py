"""Images in the files of the field: volumes, photos, DICOM series, intensity."""
