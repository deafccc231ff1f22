"""The audit: did a restoration, ours or any tool's, change what independent judges read in the images?"""
