class BenchError(Exception):
    """A mistake that the user can mend: shown as one message without a traceback.

    The message names the argument, file or config key, what was found, what was expected, and what to do.
    """
