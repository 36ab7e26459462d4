"""The errors that end in one sentence for the user instead of a traceback."""


class LabError(Exception):
    """Something that the user can mend. The text is one clear sentence: what, where, what to do."""
