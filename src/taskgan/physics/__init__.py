"""The physics of MR that simulation and relaxometry share: sequences, tissues, the MDME acquisition."""
