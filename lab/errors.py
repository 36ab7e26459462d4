"""The errors that end in one sentence for the user instead of a traceback."""


class LabError(Exception):
    """Something that the user can mend. The text is one clear sentence: what, where, what to do."""


def one_line(error: Exception) -> str:
    """The error's kind and text, as part of a sentence; parsers like to answer in several lines."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
