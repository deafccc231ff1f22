"""The reader of the property: the task network T before it teaches, and the judges. One code for both."""
