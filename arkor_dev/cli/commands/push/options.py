"""The options of ``arkor-dev push``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.cli.options import add_launch, add_project, add_what_leaves, add_yes

if TYPE_CHECKING:
    from arkor_dev.cli.command_line import CommandLine


def add_push(parser: CommandLine) -> None:
    """``push``, and what it publishes."""
    push = parser.add_command(
        "push",
        "Publish what a job has made on the Hugging Face Hub, with its card and provenance: an export that "
        "is there already, or one made and proved now. It says what goes where, and asks. The token is that "
        "of `hf auth login`, or HF_TOKEN. A job is named by its id, by the beginning of it, or as latest.",
        "JOB NAME/REPOSITORY",
    )
    push.add_argument("job", metavar="JOB", nargs="?", help="an id, the beginning of one, or latest")
    push.add_argument(
        "repo", metavar="NAME/REPOSITORY", nargs="?", help="a user or an organisation, and the repository"
    )
    add_project(push)
    add_launch(push)
    push.add_argument("--private", action="store_true", help="for you alone, and whom you let in")
    add_what_leaves(push)
    push.add_argument(
        "--replace", action="store_true",
        help="take away weights of another format that are in the repository: the two would be mixed up",
    )  # fmt: skip
    push.add_argument(
        "--force", action="store_true", help="publish also what is another model than the trained one"
    )
    push.add_argument("--json", action="store_true", help="print {export, repository}; needs --yes")
    add_yes(push, "publish without asking")
