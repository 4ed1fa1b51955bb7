"""The one exception for what a user can mend."""


class UserError(ValueError):
    """A mistake in data, config or command that its user can mend.

    The message is one sentence: what, where, what was allowed, and the command or key that mends it. The command
    line prints it without a traceback.
    """
