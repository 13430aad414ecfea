"""The options of ``arkor-dev push``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arkor_dev.cli.options import add_launch, add_project, add_what_leaves, add_yes

if TYPE_CHECKING:
    from arkor_dev.cli.command_line import CommandLine


def add_push(parser: CommandLine) -> None:
    """Add ``push`` and its options."""
    push = parser.add_command(
        "push",
        "Publish a job's result on the Hugging Face Hub, with its model card and provenance: an existing "
        "export, or a new, verified one. It shows what will be published and asks first. The token comes "
        "from `hf auth login` or HF_TOKEN. JOB is an id, a prefix of one, or latest.",
        "JOB NAME/REPOSITORY",
    )
    push.add_argument("job", metavar="JOB", nargs="?", help="an id, a prefix of one, or latest")
    push.add_argument(
        "repo", metavar="NAME/REPOSITORY", nargs="?", help="a user or an organisation, and the repository"
    )
    add_project(push)
    add_launch(push)
    push.add_argument("--private", action="store_true", help="visible only to you and those you invite")
    add_what_leaves(push)
    push.add_argument(
        "--replace", action="store_true",
        help="remove weights of another format from the repository: programs would load both",
    )  # fmt: skip
    push.add_argument(
        "--force", action="store_true", help="publish even if the export is not the trained model"
    )
    push.add_argument("--json", action="store_true", help="print {export, repository}; needs --yes")
    add_yes(push, "publish without asking")
