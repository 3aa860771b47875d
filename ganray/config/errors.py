"""The error that a user's mistake ends in: one line that names the field, the problem and the remedy."""


class UserError(Exception):
    """Something that the user, not ganray, has to change. The command line prints it as one line and exits with 2.

    `field` is what the user can point at (a dotted path of the job file, an option, a file), `problem` what is wrong with
    it, and `remedy` what would be right.
    """

    def __init__(self, field: str, problem: str, remedy: str) -> None:
        super().__init__(field, problem, remedy)
        self.field, self.problem, self.remedy = field, problem, remedy

    def __str__(self) -> str:
        return " ".join(f"{self.field}: {self.problem}; {self.remedy}".split())
