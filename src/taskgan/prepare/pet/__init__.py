"""A centre's own PET images as a cohort."""
