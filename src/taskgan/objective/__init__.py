"""What training minimises: Eq. 1 to 4 as pure functions of tensors, one value per case where that makes sense."""
