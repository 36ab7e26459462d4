"""The lab's services, a file each: what to start, how to tell that it works, what to set up in it."""
